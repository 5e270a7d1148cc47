"""What staff need to see and to do across everything below: for now, the erasure of people."""
