"""Settles orders: owns the gateway, the webhooks, and everything that is known about money."""
