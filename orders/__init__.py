"""Orders: placed, paid, fulfilled. Knows nothing of payments: not by import, not by related_name."""
