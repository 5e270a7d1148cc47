"""OpenID Connect, from the side that relies on it: what is asked of a provider, and what of its word is believed."""
