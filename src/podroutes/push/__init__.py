"""Push: plan, apply, verify and remove on every machine of an inventory, over SSH."""
