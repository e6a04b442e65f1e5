"""The sources of hints."""
