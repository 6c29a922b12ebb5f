"""The door to files that outlive a run."""
