"""Calls that nobody waits for: accepted, kept, run, and their results given to who has the id."""
