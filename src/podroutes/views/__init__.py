"""Formats values as text. Terminal and JSON show the same values, so they cannot disagree."""
