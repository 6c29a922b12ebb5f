"""Values to values: what should be routed, whose the routes are, and the difference. No socket, file, clock or thread."""
