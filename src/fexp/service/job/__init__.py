"""Runs a batch job and reports how it went: ``fexp run`` and ``fexp.job``."""
