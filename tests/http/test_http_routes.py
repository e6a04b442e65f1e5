"""The table of routes."""

from __future__ import annotations

import gzip
import json
import subprocess
import threading
from contextlib import ExitStack
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from fexp import __version__
from fexp.errors import FexpError, SettingsError
from fexp.model import FolderStatus, Snapshot
from fexp.outputs.formats import Format
from fexp.outputs.http import Limits
from fexp.outputs.http.documents import service_discovery
from fexp.outputs.http.server import _WORKERS
from tests.http.serving import PATIENCE_SECONDS, MemoryServed, ask, connect, make_folder, need_promtool, running

ALL_PATHS = (
    "/",
    "/metrics",
    "/-/healthy",
    "/-/ready",
    "/api/v1/metadata",
    "/api/v1/folders",
    "/api/v1/files",
    "/api/v1/sd",
)


def test_every_path_answers_get_and_head() -> None:
    """Mistakes 21e, 21g."""
    with running() as server:
        for path in ALL_PATHS:
            got, head = ask(server, path), ask(server, path, "HEAD")
            assert (got.status, head.status) == (200, 200), path
            assert got.body
            assert head.body == b""
            assert head.headers["content-type"] == got.headers["content-type"]
            assert got.headers["server"] == f"fexp/{__version__}"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"])
def test_other_methods_are_refused_with_those_allowed(method: str) -> None:
    with running() as server:
        reply = ask(server, "/metrics", method)
    assert reply.status == 405
    assert reply.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "//metrics",
        "/metrics/",
        "/metrics/../metrics",
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fetc/passwd",
        "/data/in/a.txt",
        "/api/v1/folders/data/in/a.txt",
        "/%00",
        "/%ff%fe",
        "/METRICS",
    ],
)
def test_anything_else_is_404(path: str) -> None:
    """Mistake 21f."""
    with running() as server:
        reply = ask(server, path)
    assert (reply.status, reply.body) == (404, b"Not Found\n")


def test_any_path_is_answered_without_a_crash() -> None:
    with running() as server:

        @settings(max_examples=60)
        @given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=60))
        def check(tail: str) -> None:
            assert ask(server, "/x" + tail).status == 404
            assert ask(server, "/metrics?" + tail.replace("#", "")).status == 200

        check()


def test_text_format_is_what_prometheus_reads() -> None:
    with running() as server:
        reply = ask(server, "/metrics")
    assert reply.headers["content-type"] == Format.TEXT.content_type == "text/plain; version=0.0.4; charset=utf-8"
    families = {family.name: family for family in parse_text(reply.text)}
    assert families["fexp_files"].samples[0].value == 3
    assert families["fexp_arrivals"].samples[0].value == 1234
    assert families["process_cpu_seconds"].type == "counter"
    assert "python_info" in families
    assert "_created" not in reply.text


def test_openmetrics_is_what_prometheus_reads() -> None:
    with running() as server:
        reply = ask(server, "/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0"})
    assert reply.headers["content-type"] == openmetrics.exposition.CONTENT_TYPE_LATEST
    assert reply.text.count("# EOF") == 1
    assert reply.text.endswith("# EOF\n")
    families = {family.name: family for family in parse_openmetrics(reply.text)}  # type: ignore[no-untyped-call]
    assert families["fexp_dwell_seconds"].type == "histogram"
    assert families["fexp_arrivals"].samples[0].name == "fexp_arrivals_total"


def test_promtool_finds_nothing_to_say_about_our_own_metrics() -> None:
    promtool = need_promtool()
    with running() as server:
        text = ask(server, "/metrics").body
    checked = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False, timeout=60)
    ours = [line for line in checked.stderr.decode().splitlines() if not line.startswith("python_")]
    assert checked.returncode in {0, 3}  # 3: lint; the names in python_gc_* are the library's
    assert ours == []


def test_gzip_by_accept_encoding() -> None:
    with running() as server:
        packed = ask(server, "/metrics?name[]=fexp_files", headers={"Accept-Encoding": "gzip"})
        plain = ask(server, "/metrics?name[]=fexp_files", headers={"Accept-Encoding": "gzip;q=0"})
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    assert "content-encoding" not in plain.headers
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept, Accept-Encoding"


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("name[]=fexp_files", {"fexp_files"}),
        ("name[]=fexp_files&name[]=fexp_size_bytes", {"fexp_files", "fexp_size_bytes"}),
        ("name%5B%5D=fexp_arrivals_total", {"fexp_arrivals"}),
        ("name[]=fexp_arrivals", {"fexp_arrivals"}),
        ("name[]=fexp_dwell_seconds_bucket", {"fexp_dwell_seconds"}),
        ("name[]=process_open_fds", {"process_open_fds"}),
        ("name[]=no_such", set()),
    ],
)
def test_names_choose_families(query: str, names: set[str]) -> None:
    with running() as server:
        reply = ask(server, f"/metrics?{query}")
        as_openmetrics = ask(server, f"/metrics?{query}", headers={"Accept": "application/openmetrics-text"})
    assert {family.name for family in parse_text(reply.text)} == names
    found = parse_openmetrics(as_openmetrics.text)  # type: ignore[no-untyped-call]
    assert {family.name for family in found} == names


def test_ready_when_looked_and_watching() -> None:
    with running() as server:
        reply = ask(server, "/-/ready")
    assert (reply.status, json.loads(reply.body)["ready"]) == (200, True)


def test_not_ready_tells_how_far_the_first_look_is() -> None:
    served = MemoryServed(folder_statuses=(FolderStatus("/data/in", False, False, 4321, None),))
    with running(served) as server:
        reply = ask(server, "/-/ready")
    assert reply.status == 503
    assert json.loads(reply.body)["first_look_under_way"] == [{"folder": "/data/in", "files_seen": 4321}]


def test_not_ready_gives_the_reasons_while_healthy() -> None:
    with running(MemoryServed(reasons=("watcher of /data/in is dead",))) as server:
        reply = ask(server, "/-/ready")
        assert ask(server, "/-/healthy").status == 200
    assert (reply.status, json.loads(reply.body)["reasons"]) == (503, ["watcher of /data/in is dead"])


def test_healthy_is_not_metrics() -> None:
    """Mistake 21f."""
    with running() as server:
        assert ask(server, "/-/healthy").body == b"fexp is healthy.\n"


def test_reload_is_a_post() -> None:
    served = MemoryServed()
    with running(served) as server:
        assert ask(server, "/-/reload").status == 405
        assert served.reloads == 0
        assert ask(server, "/-/reload", "POST").status == 200
    assert served.reloads == 1


@pytest.mark.parametrize(
    ("error", "status"),
    [(SettingsError("fexp.yaml:3: unknown key"), 400), (FexpError("gone"), 500), (RuntimeError("bug"), 500)],
)
def test_reload_that_fails_says_why(error: Exception, status: int) -> None:
    with running(MemoryServed(reload_error=error)) as server:
        reply = ask(server, "/-/reload", "POST")
    assert reply.status == status
    assert (str(error) in reply.text) is isinstance(error, FexpError)  # a bug's text may hold anything


def test_folders_give_the_current_numbers() -> None:
    with running(MemoryServed(folders=(make_folder(), make_folder("/gone", up=False)))) as server:
        reply = ask(server, "/api/v1/folders")
    here, gone = json.loads(reply.body)["folders"]
    assert reply.headers["content-type"] == "application/json"
    assert here["patterns"][0]["files"] == 3
    assert gone["patterns"][0]["files"] is None
    assert gone["patterns"][0]["arrivals"] == 1234


def test_json_survives_odd_values() -> None:
    served = MemoryServed(extra={"odd": object, "name": "\udcff"}, folders=(make_folder("/\udcff"),))
    with running(served) as server:
        reply = ask(server, "/api/v1/metadata")
    found = json.loads(reply.body)
    assert found["version"] == __version__
    assert {"fexp_files", "fexp_build_info"} <= {row["name"] for row in found["metrics"]}
    assert found["folders"][0]["folder"] == "/\udcff"


@pytest.mark.parametrize(
    ("host", "target"),
    [
        ("node-1:9877", "node-1:9877"),
        ("[::1]:9877", "[::1]:9877"),
        ('evil" }', None),
        ("", None),
    ],
)
def test_discovery_names_us_as_we_were_asked(host: str, target: str | None) -> None:
    with running() as server:
        reply = ask(server, "/api/v1/sd", headers={"Host": host})
        own = server.addresses[0].removeprefix("http://")
    (group,) = json.loads(reply.body)
    assert reply.headers["content-type"] == "application/json"
    assert group["targets"] == [target or own]
    assert all(isinstance(value, str) for value in group["labels"].values())


def test_a_slow_answer_delays_nobody_else() -> None:
    served = MemoryServed(hold=threading.Event())
    with running(served) as server:
        slow = threading.Thread(target=ask, args=(server, "/metrics"))
        slow.start()
        assert served.asked.wait(20)
        assert ask(server, "/-/healthy").status == 200
        assert ask(server, "/-/ready").status == 200
        assert served.hold is not None
        served.hold.set()
        slow.join()


def test_every_answer_is_kept_by_nobody_framed_by_nobody_and_tells_nobody_where_it_came_from() -> None:
    with running() as server:
        for path in (*ALL_PATHS, "/nothing"):
            headers = ask(server, path).headers
            assert headers["cache-control"] == "no-store"
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["x-frame-options"] == "deny"
            assert headers["referrer-policy"] == "no-referrer"
            assert "default-src 'none'" in headers["content-security-policy"]
            assert parsedate_to_datetime(headers["date"]).year > 2000


@pytest.mark.parametrize(
    ("site", "status"),
    [("none", 200), ("same-origin", 200), ("same-site", 403), ("cross-site", 403), ("", 403), ("else", 403)],
)
def test_only_a_page_of_our_own_origin_or_no_page_reloads(site: str, status: int) -> None:
    served = MemoryServed()
    with running(served) as server:
        assert ask(server, "/-/reload", "POST", {"Sec-Fetch-Site": site}).status == status
    assert served.reloads == (status == 200)


class Stuck(MemoryServed):
    """Holds its snapshot back until it is let go, and counts who waits for one."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = threading.Event()
        self.waiting = threading.Semaphore(0)

    def snapshot(self) -> Snapshot:
        self.waiting.release()
        assert self.let_go.wait(3 * PATIENCE_SECONDS)
        return super().snapshot()


def test_healthy_needs_no_worker() -> None:
    served = Stuck()
    with running(served, limits=Limits(answer_seconds=1)) as server, ExitStack() as clients:
        try:
            for _ in range(_WORKERS):
                client = clients.enter_context(connect(server))
                client.sendall(b"GET /api/v1/folders HTTP/1.1\r\nHost: x\r\n\r\n")
                assert served.waiting.acquire(timeout=PATIENCE_SECONDS)
            assert ask(server, "/-/healthy").status == 200
        finally:
            served.let_go.set()


@pytest.mark.parametrize(
    ("host", "server", "targets"),
    [
        ("", None, []),
        ("", ("/run/fexp.sock", None), []),
        ("", ("10.0.0.1", 9877), ["10.0.0.1:9877"]),
        ("", ("::1", 9877), ["[::1]:9877"]),
        ("node-1:9877", ("/run/fexp.sock", None), ["node-1:9877"]),
    ],
)
def test_discovery_names_nobody_that_cannot_be_reached(
    host: str, server: tuple[str, int | None] | None, targets: list[str]
) -> None:
    assert [target for group in service_discovery(host, server, "http") for target in group["targets"]] == targets  # type: ignore[attr-defined]
