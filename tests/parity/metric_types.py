"""Show each type of metric, with labels, on port 8000."""

from random import random

import fexp

A = fexp.gauge("a", "Description of gauge.")
G = fexp.gauge("g", "Description of gauge.", labels=["mylabelname"])
REQUESTS = fexp.counter("requests_total", "Requests.", labels=["method", "clientip"])
CC = fexp.counter("cc_total", "A counter.")
HH = fexp.histogram("hh", "A histogram.", buckets=(-5, 0, 5))
SS = fexp.summary("ss", "A summary.", labels=["a", "b"])


@fexp.probe(metrics=[A, G, REQUESTS, CC, HH, SS])
def types() -> list[fexp.Sample]:
    requests = REQUESTS.inc(method="GET", clientip="127.0.0.1")
    return [A(345), G(random(), mylabelname="ghost"), requests, CC.inc(1.5), HH(2), SS(17, a=1, b=2)]


fexp.Exporter("metric-types", [types], port=8000)()
