"""Kept calls of one process, in a file of its own: see `calls.kept`."""
