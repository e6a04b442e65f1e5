"""fexp watches folders and tells Prometheus what waits in them, at once."""

__version__ = "0.1.0"
