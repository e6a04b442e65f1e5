"""Probes: functions that yield samples of declared metrics, when they run, what they are set by, how they are found."""
