"""Values into text: the same values for terminal and JSON, so that they cannot disagree."""
