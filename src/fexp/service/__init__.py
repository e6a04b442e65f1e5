"""Starts the parts and stops them: the daemon, one-shots, locks, systemd."""
