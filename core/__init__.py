"""What every app stands on. No business word in here, and no import of another app of ours."""
