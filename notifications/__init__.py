"""What people and other systems are told; on top, so that nothing about mail can hurt money."""
