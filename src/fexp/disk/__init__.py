"""Looks at the disk: what is there, and what is mounted where."""
