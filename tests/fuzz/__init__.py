"""Fuzzing of what reads text from outside, by hand and as kept cases."""
