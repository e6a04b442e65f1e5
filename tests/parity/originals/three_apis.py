"""The metrics, health and metadata API of an exporter with a counter: prometheus_client and http.server."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, Counter, generate_latest

OPERATIONS = Counter("myapp_processed_ops_total", "The total number of processed events.")
METADATA = {"name": "myapp", "version": "1.0", "metrics": ["myapp_processed_ops_total"]}


def record() -> None:
    while True:
        OPERATIONS.inc()
        time.sleep(2)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/metrics":
            self.answer(CONTENT_TYPE_LATEST, generate_latest())
        elif self.path == "/-/healthy":
            self.answer("text/plain", b"myapp is healthy.\n")
        elif self.path == "/api/v1/metadata":
            self.answer("application/json", json.dumps(METADATA).encode())
        else:
            self.send_error(404)

    def answer(self, content_type: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.end_headers()
        self.wfile.write(body)


threading.Thread(target=record, daemon=True).start()
ThreadingHTTPServer(("127.0.0.1", 2112), Handler).serve_forever()
