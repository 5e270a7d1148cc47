"""The floor: the same SQL with nothing around it."""
