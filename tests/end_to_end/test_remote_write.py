"""``fexp watch --remote-write`` and the real receivers: what they tell when asked is what /metrics shows."""

from __future__ import annotations

import json
import ssl
import urllib.parse
import urllib.request
from itertools import pairwise
from time import time
from typing import TYPE_CHECKING, Any

import bcrypt
import pytest

from tests.end_to_end.comparing import shown, told, value_of
from tests.end_to_end.running import samples, watching
from tests.outputs.conftest import Authority
from tests.servers import Server, free_port, poll, running_prometheus, running_victoria_metrics

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.end_to_end.comparing import Series

WRITE = "/api/v1/write"


@pytest.fixture(params=["prometheus", "victoria_metrics"])
def receiver(request: pytest.FixtureRequest) -> Server:
    """Return each of the receivers in turn."""
    server: Server = request.getfixturevalue(request.param)
    return server


@pytest.mark.slow
def test_a_receiver_tells_what_metrics_shows(tmp_path: Path, receiver: Server) -> None:
    """Each series with its value and its labels, while files come and go and a folder does; nothing after the end."""
    data, other = tmp_path / "data", tmp_path / "other"
    data.mkdir()
    other.mkdir()
    (data / "a.txt").write_text("12345")
    common = {"job": "compared", "instance": "host a/ü", "zone": 'z "1"'}
    with watching(
        str(data), str(other), "--ext", "txt", "--ext", "csv", "--label", "team=a", "--listen", "127.0.0.1:0",
        "--min-interval", "0", "--heartbeat", "0.5s", "--remote-write", receiver.url + WRITE,
        "--job", common["job"], "--instance", common["instance"], "--remote-write-label", f"zone={common['zone']}",
    ) as fexp:  # fmt: skip

        def agreed() -> Series | None:
            series = told(receiver, "compared")
            return series if series == pytest.approx(shown(fexp, **common), rel=1e-12) else None

        txt = {"folder": str(data), "pattern": "*.txt"}
        series = poll(agreed)
        assert value_of(series, "fexp_files", **txt, team="a", **common) == 1
        assert value_of(series, "fexp_size_bytes", **txt) == 5
        assert value_of(series, "fexp_arrivals_total", **txt) == 0
        assert {dict(labels)["zone"] for _, labels in series} == {common["zone"]}

        (data / "b.txt").write_text("123")
        (data / "a.txt").unlink()
        (other / "c.csv").touch()
        series = poll(lambda: value_of(told(receiver, "compared"), "fexp_departures_total", **txt) and agreed())
        assert value_of(series, "fexp_arrivals_total", **txt) == 1
        assert value_of(series, "fexp_departures_total", **txt) == 1
        assert value_of(series, "fexp_departed_bytes_total", **txt) == 5
        assert value_of(series, "fexp_dwell_seconds_bucket", **txt, le="inf") == 1
        poll(lambda: value_of(agreed() or {}, "fexp_files", folder=str(other), pattern="*.csv") == 1)

        data.rename(tmp_path / "away")
        series = poll(lambda: fexp.value("fexp_folder_up", folder=str(data)) == 0 and agreed())
        assert value_of(series, "fexp_folder_up", folder=str(data)) == 0
        assert value_of(series, "fexp_files", **txt) is None
        assert value_of(series, "fexp_files", folder=str(other), pattern="*.csv") == 1
        gone = value_of(series, "fexp_departures_total", **txt)

        (tmp_path / "away").rename(data)
        series = poll(lambda: fexp.value("fexp_folder_up", folder=str(data)) == 1 and agreed())
        assert value_of(series, "fexp_files", **txt) == 1
        assert value_of(series, "fexp_departures_total", **txt) == gone

        assert fexp.stop() == 0
        poll(lambda: told(receiver, "compared") == {})


@pytest.mark.slow
def test_kept_on_exit(tmp_path: Path, receiver: Server) -> None:
    """With --keep-on-exit no series ends, and the last values are those of the stop."""
    (tmp_path / "a").touch()
    with watching(
        str(tmp_path), "--remote-write", receiver.url + WRITE, "--job", "kept", "--keep-on-exit",
        "--min-interval", "30s",
    ) as fexp:  # fmt: skip
        before = poll(lambda: told(receiver, "kept"))
        assert value_of(before, "fexp_files") == 1
        (tmp_path / "b").touch()
        assert fexp.stop() == 0
    poll(lambda: value_of(told(receiver, "kept"), "fexp_files") == 2)
    assert told(receiver, "kept").keys() >= before.keys()


@pytest.mark.slow
@pytest.mark.parametrize("running", [running_prometheus, running_victoria_metrics])
def test_an_outage_leaves_no_gap(tmp_path: Path, running: Callable[..., AbstractContextManager[Server]]) -> None:
    """A receiver that was stopped and started again has a sample of each heartbeat, and what ended then ended then."""
    data, other, port = tmp_path / "data", tmp_path / "other", free_port()
    data.mkdir()
    other.mkdir()
    with watching(
        str(data), str(other), "--listen", "127.0.0.1:0", "--heartbeat", "0.5s", "--min-interval", "0.1s",
        "--remote-write", f"http://127.0.0.1:{port}{WRITE}", "--job", "outage", "--remote-write-deadline", "2s",
    ) as fexp:  # fmt: skip

        def history(name: str, folder: Path) -> list[tuple[float, float]]:
            """Return the samples of a series; VictoriaMetrics tells of a stale marker too."""
            server.get("/internal/force_flush")
            (one,) = server.query(f'{name}{{job="outage",folder="{folder}"}}[10m]') or [{"values": []}]
            return [(at, float(value)) for at, value in one["values"] if value != "NaN"]

        with running(tmp_path / "receiver", port=port) as server:
            poll(lambda: history("fexp_files", other))
        failures = fexp.value("fexp_delivery_failures_total") or 0
        poll(lambda: (fexp.value("fexp_delivery_failures_total") or 0) > failures)
        (data / "a").touch()
        poll(lambda: fexp.value("fexp_files", folder=str(data)) == 1)
        other.rmdir()
        poll(lambda: fexp.value("fexp_folder_up", folder=str(other)) == 0)
        poll(lambda: (fexp.value("fexp_delivery_failures_total") or 0) > failures + 1)
        back_at = time()
        with running(tmp_path / "receiver", port=port) as server:
            poll(lambda: any(at > back_at + 1 for at, _ in history("fexp_files", data)))
            samples = history("fexp_files", data)
            times = [at for at, _ in samples]
            assert times[-1] - times[0] > 3
            assert max(after - before for before, after in pairwise(times)) < 1.5
            assert [value for _, value in samples] == sorted(value for _, value in samples)
            up, down = (next(at for at, v in history("fexp_folder_up", other) if v == wanted) for wanted in (1, 0))
            assert down < back_at - 1
            assert down - 1.5 < history("fexp_files", other)[-1][0] < down
            for at, there in ((up, 1), (down, 0)):
                assert len(server.query(f'fexp_files{{job="outage",folder="{other}"}}', at=at)) == there
            assert fexp.value("fexp_dropped_snapshots_total") == 0
            assert fexp.stop() == 0
    lines = [line for line in fexp.lines if "remote_write: " in line]
    assert len(lines) == 2, lines  # that it is away, and that it works again


def test_credentials_private_ca_and_client_certificate_together(tmp_path: Path) -> None:
    """Against the exporter-toolkit's own checks; who has a wrong password reads so in the log, but not the password."""
    authority = Authority(tmp_path)
    server_cert, server_key = authority.issue("prometheus")
    client_cert, client_key = authority.issue("fexp-that-writes")
    hashed = bcrypt.hashpw(b"s3cr3t-of-anna", bcrypt.gensalt(4)).decode()
    config, password_file = tmp_path / "web.yml", tmp_path / "password"
    config.write_text(
        f"tls_server_config:\n  cert_file: {server_cert}\n  key_file: {server_key}\n"
        f"  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: {authority.ca_file}\n"
        f"basic_auth_users:\n  anna: {hashed}\n"
    )
    data = tmp_path / "data"
    data.mkdir()
    (data / "a").touch()
    arguments = (f"--web.config.file={config}",)
    with running_prometheus(tmp_path / "prometheus", arguments=arguments, ready_path=None) as server:
        url = server.url.replace("http:", "https:")
        tls = ssl.create_default_context(cafile=str(authority.ca_file))
        tls.load_cert_chain(client_cert, client_key)
        asking = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=tls),
            _basic("anna", "s3cr3t-of-anna", url),
        )

        def found(job: str) -> list[dict[str, Any]]:
            query = urllib.parse.urlencode({"query": f'fexp_files{{job="{job}"}}'})
            with asking.open(f"{url}/api/v1/query?{query}", timeout=10) as response:
                result: list[dict[str, Any]] = json.loads(response.read())["data"]["result"]
                return result

        options = (
            str(data), "--listen", "127.0.0.1:0", "--remote-write", url + WRITE, "--remote-write-user", "anna",
            "--remote-write-ca-file", str(authority.ca_file), "--remote-write-deadline", "1s",
        )  # fmt: skip
        certificate = ("--remote-write-cert-file", str(client_cert), "--remote-write-key-file", str(client_key))
        password_file.write_text("s3cr3t-of-anna\n")
        with (
            watching(
                *options, *certificate, "--remote-write-password-file", str(password_file), "--job", "right"
            ) as right,
            watching(*options, *certificate, "--job", "wrong", FEXP_REMOTE_WRITE_PASSWORD="a-wr0ng-one") as wrong,
            watching(*options, "--job", "bare", FEXP_REMOTE_WRITE_PASSWORD="s3cr3t-of-anna") as bare,
        ):
            poll(lambda: [one["value"][1] for one in found("right")] == ["1"])
            poll(lambda: any("remote_write: " in line and "answered 401: Unauthorized" in line for line in wrong.lines))
            poll(lambda: wrong.value("fexp_delivery_failures_total"))
            poll(lambda: bare.value("fexp_delivery_failures_total"))
            assert right.stop() == 0
            poll(lambda: found("right") == [])
            for other in (wrong, bare):
                assert other.value("fexp_deliveries_total") == 0
                assert other.value("fexp_files") == 1
                assert other.stop() == 0
        assert found("wrong") == found("bare") == []
        said = "\n".join(right.lines + wrong.lines + bare.lines)
        assert "a-wr0ng-one" not in said
        assert "s3cr3t-of-anna" not in said


def _basic(user: str, password: str, url: str) -> urllib.request.BaseHandler:
    passwords = urllib.request.HTTPPasswordMgrWithPriorAuth()
    passwords.add_password(None, url, user, password, is_authenticated=True)
    return urllib.request.HTTPBasicAuthHandler(passwords)


@pytest.mark.slow
def test_what_fills_several_requests_arrives_whole_and_ends_whole(tmp_path: Path, victoria_metrics: Server) -> None:
    """More than VictoriaMetrics takes at once (32 MiB): long names and many buckets are the cheap way there."""
    data = tmp_path / "/".join(["a" * 250] * 6)
    data.mkdir(parents=True)
    bounds = range(1, 10_801)
    buckets = ",".join(f"{seconds}s" for seconds in bounds)

    def requests() -> float:
        return sum(
            value
            for (name, labels), value in samples(victoria_metrics.get("/metrics").text).items()
            if name == "vm_http_requests_total" and ("path", WRITE) in labels
        )

    def alive() -> int:
        victoria_metrics.get("/internal/force_flush")
        return sum(
            int(one["value"][1]) for one in victoria_metrics.query('count(fexp_dwell_seconds_bucket{job="many"})')
        )

    before = requests()
    with watching(
        str(data), "--match", "a*", "--match", "b*", "--dwell-buckets", buckets, "--remote-write-deadline", "60s",
        "--remote-write", victoria_metrics.url + WRITE, "--job", "many",
    ) as fexp:  # fmt: skip
        poll(lambda: alive() == 2 * (len(bounds) + 1), seconds=60)
        assert requests() - before >= 3
        assert fexp.stop() == 0
    poll(lambda: alive() == 0)
    assert not any("remote_write: " in line for line in fexp.lines)
