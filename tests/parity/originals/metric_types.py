"""Show each type of metric, with labels, from an own registry: prometheus_client and a loop."""

import random
import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary, start_http_server

REGISTRY = CollectorRegistry(auto_describe=False)
A = Gauge("a", "Description of gauge.", registry=REGISTRY)
G = Gauge("g", "Description of gauge.", ["mylabelname"], registry=REGISTRY)
REQUESTS = Counter("requests_total", "Requests.", ["method", "clientip"], registry=REGISTRY)
CC = Counter("cc_total", "A counter.", registry=REGISTRY)
HH = Histogram("hh", "A histogram.", buckets=(-5, 0, 5), registry=REGISTRY)
SS = Summary("ss", "A summary.", ["a", "b"], registry=REGISTRY)

start_http_server(8000, registry=REGISTRY)
A.set(345)
while True:
    G.labels(mylabelname="ghost").set(random.random())
    REQUESTS.labels(method="GET", clientip="127.0.0.1").inc()
    CC.inc(1.5)
    HH.observe(2)
    SS.labels(a="1", b="2").observe(17)
    time.sleep(0.1)
