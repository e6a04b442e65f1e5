"""The gate: the whole suite here, its edges on every Python, and the README on a fresh Debian."""
