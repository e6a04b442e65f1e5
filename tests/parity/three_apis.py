"""The metrics, health and metadata API of an exporter with a counter, on port 2112."""

import fexp

OPERATIONS = fexp.counter("myapp_processed_ops_total", "The total number of processed events.")


@fexp.probe(metrics=OPERATIONS, on=fexp.every("2s"))
def operations() -> fexp.Sample:
    return OPERATIONS.inc()


fexp.Exporter("myapp", [operations], port=2112, version="1.0")()
