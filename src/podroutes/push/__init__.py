"""Plans, applies, verifies and removes routes on all machines of an inventory, over SSH."""
