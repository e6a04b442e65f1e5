"""A site that counts its requests and shows them at ``/metrics``, in the format that is asked for."""

from flask import Flask, request
from prometheus_client import CollectorRegistry, Counter

import fexp

REGISTRY = CollectorRegistry()
REQUESTS = Counter("requests_total", "Requests.", ["method", "clientip"], registry=REGISTRY)
app = Flask(__name__)
app.before_request(lambda: REQUESTS.labels(request.method, request.remote_addr).inc())
app.add_url_rule("/metrics", "metrics", lambda: fexp.wsgi_app(REGISTRY))


@app.route("/")
def index() -> str:
    return "Welcome to China"


app.run(port=5000)
