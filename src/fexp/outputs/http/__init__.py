"""The HTTP output: metrics for Prometheus, a page for people, events for those who follow along.

Importing this package is cheap; the server library is imported when a server is opened.
"""

from fexp.outputs.http.limits import Limits
from fexp.outputs.http.listen import Listen, parse_listen
from fexp.outputs.http.served import Served, Subscription
from fexp.outputs.http.server import HttpServer

__all__ = ["HttpServer", "Limits", "Listen", "Served", "Subscription", "parse_listen"]
