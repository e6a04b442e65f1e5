"""A site that counts its requests and shows them at ``/metrics``: Flask and prometheus_client."""

from flask import Flask, Response, request
from prometheus_client import CollectorRegistry, Counter, generate_latest

REGISTRY = CollectorRegistry(auto_describe=False)
REQUESTS = Counter("requests_total", "Requests.", ["method", "clientip"], registry=REGISTRY)
app = Flask(__name__)


@app.route("/metrics")
def metrics() -> Response:
    REQUESTS.labels(request.method, request.remote_addr).inc()
    return Response(generate_latest(REGISTRY), mimetype="text/plain")


@app.route("/")
def index() -> str:
    REQUESTS.labels(request.method, request.remote_addr).inc()
    return "Welcome to China"


app.run(port=5000)
