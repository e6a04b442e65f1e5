"""``fexp.wsgi_app`` and ``fexp.asgi_app``, mounted in a real Flask and a real FastAPI behind real servers."""

from __future__ import annotations

import asyncio
import gzip
import threading
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from fastapi import FastAPI
from flask import Flask
from prometheus_client import CollectorRegistry, generate_latest
from starlette.routing import Route
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import make_server

import fexp
from tests.outputs.samples import Gauge
from tests.servers import fetch, free_port, poll

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

OPENMETRICS = {"Accept": "application/openmetrics-text;version=1.0.0"}


@contextmanager
def flask(app: Any) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def fastapi(app: Any) -> Iterator[str]:
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        poll(lambda: server.started)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def flask_site(source: Any, **arguments: Any) -> Any:
    site = Flask("site")
    site.add_url_rule("/", "home", lambda: "home")
    site.wsgi_app = DispatcherMiddleware(site.wsgi_app, {"/metrics": fexp.wsgi_app(source, **arguments)})  # type: ignore[method-assign]
    return site


def fastapi_mounted(source: Any, **arguments: Any) -> Any:
    site = FastAPI()
    site.get("/")(lambda: "home")
    site.mount("/metrics", fexp.asgi_app(source, **arguments))
    return site


def fastapi_routed(source: Any, **arguments: Any) -> Any:
    site = FastAPI()
    site.get("/")(lambda: "home")
    site.router.routes.append(Route("/metrics", endpoint=fexp.asgi_app(source, **arguments)))
    return site


SITES = pytest.mark.parametrize(
    ("serve", "site", "path"),
    [
        (flask, flask_site, "/metrics"),
        (flask, fexp.wsgi_app, "/metrics"),
        (fastapi, fastapi_mounted, "/metrics/"),  # Starlette redirects to it
        (fastapi, fastapi_routed, "/metrics"),
        (fastapi, fexp.asgi_app, "/metrics"),
    ],
    ids=["flask", "wsgi", "fastapi", "route", "asgi"],
)


@SITES
def test_metrics_are_where_they_are_mounted(
    serve: Callable[[Any], Any], site: Callable[..., Any], path: str, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("123")
    series = f'fexp_files{{folder="{tmp_path}",pattern="*.csv"}}'
    with serve(site(tmp_path, ext="csv")) as url:
        reply = fetch(url + "/metrics")
        assert (reply.status, reply.headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
        assert f"{series} 1.0\n" in reply.text
        (tmp_path / "b.csv").touch()
        poll(lambda: f"{series} 2.0\n" in fetch(url + "/metrics").text)
        openmetrics = fetch(url + "/metrics", headers=OPENMETRICS)
        assert openmetrics.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
        assert openmetrics.text.endswith("# EOF\n")
        some = fetch(url + "/metrics?name[]=fexp_files")
        assert {line.split("{")[0] for line in some.text.splitlines() if line[0] != "#"} == {"fexp_files"}
        packed = urllib.request.Request(url + "/metrics", headers={"Accept-Encoding": "gzip"})
        with urllib.request.urlopen(packed) as answer:
            assert answer.headers["Content-Encoding"] == "gzip"
            assert f"{series} 2.0\n" in gzip.decompress(answer.read()).decode()
        assert fetch(url + "/metrics/other").status == 404
        head = fetch(url + path, method="HEAD")
        assert (head.status, head.text) == (200, "")
        assert int(head.headers["Content-Length"]) > 1000
        refused = fetch(url + path, method="POST", body=b"x")
        assert refused.status == 405


@pytest.mark.parametrize(("serve", "make"), [(flask, fexp.wsgi_app), (fastapi, fexp.asgi_app)])
def test_a_registry_of_the_programs_own_is_served_as_well(
    serve: Callable[[Any], Any], make: Callable[..., Any], tmp_path: Path
) -> None:
    registry = CollectorRegistry()
    registry.register(Gauge("requests", {(): 1.0}))
    with fexp.FolderCollector(tmp_path) as collector, serve(make(registry)) as url:
        registry.register(collector)
        text = fetch(url).text
        assert "requests 1.0" in text
        assert "fexp_files{" in text
        assert text.split("fexp_last_scan")[0] == generate_latest(registry).decode().split("fexp_last_scan")[0]
        assert fetch(url, headers=OPENMETRICS).text.count("# EOF\n") == 1
        assert "requests 1.0" in fetch(url + "/metrics?name[]=requests").text
        assert "fexp_files" not in fetch(url + "/metrics?name[]=requests").text


def test_a_server_that_runs_it_alone_ends_the_watching(tmp_path: Path) -> None:
    before = {thread.name for thread in threading.enumerate()}
    app = fexp.asgi_app(tmp_path)
    with fastapi(app) as url:
        assert fetch(url).status == 200
        assert "fexp-engine" in {thread.name for thread in threading.enumerate()}
    assert {thread.name for thread in threading.enumerate() if thread.name.startswith("fexp")} <= before


def test_a_slow_answer_keeps_nobody_waiting() -> None:
    held, asked = threading.Event(), threading.Event()

    class Slow:
        def collect(self) -> list[Any]:
            asked.set()
            held.wait(30)
            return []

    async def main() -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {}

        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        answering = asyncio.ensure_future(fexp.asgi_app(Slow())(scope, receive, send))
        await asyncio.to_thread(asked.wait, 30)
        assert not answering.done()  # and yet this task goes on
        held.set()
        await answering
        return sent

    assert asyncio.run(main())[0]["status"] == 200
