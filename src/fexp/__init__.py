"""fexp watches folders and shows Prometheus at once what waits in them."""

__version__ = "0.1.0"
