"""What counts, and the numbers about it. Pure: no I/O, no clock, no thread."""
