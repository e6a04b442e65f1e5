"""Loads that are run by hand."""
