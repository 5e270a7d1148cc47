"""What staff need to see and to do across everything below: why an order is not paid, and how people are forgotten."""
