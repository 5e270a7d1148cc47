"""Live updates of one order: who may watch, what is news, and the process that tells it."""
