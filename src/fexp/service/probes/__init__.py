"""Runs probes: each in a thread of its own, so that one that hangs, raises or floods costs its own samples only."""
