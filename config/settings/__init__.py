"""One module per place the system runs in: dev, test, production. What they share stands in base."""
