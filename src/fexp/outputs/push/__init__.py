"""Outputs that send to a receiver: a Pushgateway, remote write."""
