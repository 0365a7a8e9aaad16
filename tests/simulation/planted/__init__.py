"""Bugs planted on purpose, each a patch of a few lines: they show that the search can fail."""
