"""Pure planning: desired routes, ownership and the difference. No socket, file, clock or thread."""
