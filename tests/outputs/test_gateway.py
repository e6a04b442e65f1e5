"""The gateway output against a real Pushgateway and a real VictoriaMetrics."""

from __future__ import annotations

import base64
import http.client
import json
import re
import socket
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fexp.errors import OutputError, SettingsError
from fexp.metrics import CATALOGUE
from fexp.outputs.push.gateway import GatewayMode, GatewayOutput, GatewaySettings, grouping_path
from tests.outputs.samples import Gauge, Numbers, command_line, snapshot_of
from tests.outputs.scripted import ScriptedServer, answer, raw
from tests.servers import Server, fetch, free_port, poll, running_pushgateway

if TYPE_CHECKING:
    from pathlib import Path

    from tests.outputs.conftest import Authority

LABELS = {label for row in CATALOGUE for label in row.labels} | {"le"}
OF_PUSHGATEWAY_1_11 = (
    "; Pushgateway 1.11 does that where others answer 400: see its log, and whether another group"
    " has the same metric with another type"
)
NASTY = [
    "",
    ".",
    "..",
    "/",
    "a/b",
    " ",
    "a b",
    "+",
    "a+b",
    "%2F",
    "ü",
    "日本",
    "🙂",
    "=",
    "a=b",
    "?",
    "#",
    "@base64",
    "\n",
    '"',
    "\\",
    "-_aZ9",
    "a.b:80",
    "\x00",
]


def made(url: str, **options: Any) -> GatewaySettings:
    """Read the settings as the command line gives them; ``mode`` is the mode of the gateway."""
    named = {"gateway-mode" if name == "mode" else name: text for name, text in options.items() if text is not None}
    return GatewaySettings.read(command_line({"gateway": url, "gateway-deadline": "5s", **named}))


def output(url: str, **options: Any) -> GatewayOutput:
    settings = made(url, **options)
    settings.check_labels(LABELS)
    return GatewayOutput(settings)


def groups(server: Server) -> list[dict[str, str]]:
    return [group["labels"] for group in server.get("/api/v1/metrics").json()["data"]]


def decoded(path: str) -> list[tuple[str, str]]:
    """Read a grouping path as the Pushgateway's API describes it."""
    parts = path.removeprefix("/metrics/").split("/")
    pairs = []
    for name, value in zip(parts[::2], parts[1::2], strict=True):
        if name.endswith("@base64"):
            plain = base64.urlsafe_b64decode(value + "==" if value != "=" else "").decode()
        else:
            plain = value
        pairs.append((name.removesuffix("@base64"), plain))
    return pairs


@pytest.mark.slow
@given(st.lists(st.tuples(st.from_regex(r"[a-z_]+", fullmatch=True), st.text()), min_size=1))
def test_any_grouping_key_survives_the_path(key: list[tuple[str, str]]) -> None:
    """Mistake 16."""
    path = grouping_path(key)
    assert re.fullmatch(r"(/[A-Za-z0-9_@=-]+)+", path)
    assert "//" not in path
    assert decoded(path) == key


@pytest.mark.parametrize("value", NASTY)
def test_every_value_comes_back_from_a_real_pushgateway(value: str, pushgateway: Server) -> None:
    """Mistake 16: also through a path that proxies and the gateway clean up."""
    out = output(pushgateway.url, job=value or "x", instance=value, grouping=[f"stage={value}"])
    out.publish(Numbers())
    assert groups(pushgateway) == [{"job": value or "x", "instance": value, "stage": value}]
    out.publish(Numbers())
    assert len(groups(pushgateway)) == 1
    out.retract()
    poll(lambda: not groups(pushgateway))


def test_a_push_replaces_the_whole_group(pushgateway: Server) -> None:
    """Mistake 18a: what vanished here vanishes there."""
    out, numbers = output(pushgateway.url, instance="h"), Numbers(snapshot_of(a=1, b=2))
    out.publish(numbers)
    assert pushgateway.get("/metrics").text.count("\nfexp_files{") == 2
    numbers.snapshot = snapshot_of(b=3)
    out.publish(numbers)
    text = pushgateway.get("/metrics").text
    assert 'fexp_files{folder="/in/b",instance="h",job="fexp",pattern="*"} 3' in text
    assert "/in/a" not in text


def test_a_metric_that_vanished_here_vanishes_there(pushgateway: Server) -> None:
    """Mistake 18a.

    A POST would keep it, and a folder that cannot be read would seem to hold its last files for ever.
    """
    out, numbers = output(pushgateway.url, instance="h"), Numbers(snapshot_of(a=1))
    out.publish(numbers)
    assert "\nfexp_files{" in pushgateway.get("/metrics").text
    (folder,) = numbers.snapshot.folders
    numbers.snapshot = numbers.snapshot._replace(folders=(folder._replace(up=False),))
    out.publish(numbers)
    text = pushgateway.get("/metrics").text
    assert 'fexp_folder_up{folder="/in/a",instance="h",job="fexp"} 0' in text
    assert "fexp_files" not in text


def test_two_hosts_do_not_overwrite_each_other(pushgateway: Server) -> None:
    """Mistake 17a."""
    for host in ("one", "two"):
        output(pushgateway.url, instance=host).publish(Numbers())
    assert len(groups(pushgateway)) == 2
    assert GatewaySettings(pushgateway.url).instance == socket.gethostname()


def test_deleting_what_is_not_there_is_fine(pushgateway: Server) -> None:
    output(pushgateway.url, instance="never").retract()


def test_only_the_jobs_own_old_groups_expire(pushgateway: Server) -> None:
    """Mistake 18c: the gateway never forgets by itself."""
    for job, instance in (("fexp", "old"), ("fexp", "a/b"), ("other", "old")):
        output(pushgateway.url, job=job, instance=instance).publish(Numbers())
    with suppress(http.client.RemoteDisconnected):  # so refuses Pushgateway 1.11
        fetch(
            f"{pushgateway.url}/metrics/job/fexp/instance/ghost",
            method="PUT",
            body=b"# TYPE fexp_files counter\nfexp_files 1\n",
        )
    poll(lambda: len(groups(pushgateway)) == 4)  # the refused push leaves a ghost, 1.11 after it has hung up
    assert output(pushgateway.url).expire(3600) == ()
    assert len(groups(pushgateway)) == 4
    assert sorted(labels["instance"] for labels in output(pushgateway.url).expire(-60)) == ["a/b", "ghost", "old"]
    poll(lambda: groups(pushgateway) == [{"job": "other", "instance": "old"}])


@pytest.mark.parametrize("date", [{"Date": "Sat, 21 Nov 2026 12:00:00 GMT"}, {}])
def test_age_is_by_the_gateways_clock(date: dict[str, str]) -> None:
    """A host whose clock is days ahead must not delete what was pushed a moment ago."""
    noon_at = 1_795_262_400.0
    pushed_at = {"lively": noon_at - 60, "old": noon_at - 90_000}
    body = json.dumps(
        {
            "data": [
                {"labels": {"job": "fexp", "instance": name}, "push_time_seconds": {"metrics": [{"value": f"{at:e}"}]}}
                for name, at in pushed_at.items()
            ]
        }
    ).encode()
    with ScriptedServer(answer(200, body, **date), answer(202)) as server:
        settings = GatewaySettings(server.url)
        here_at = noon_at + 180_000 if date else noon_at
        expired = GatewayOutput(settings, wall_clock=lambda: here_at).expire(86_400)
        assert [head.split(" HTTP")[0] for head in server.heads[1:]] == ["DELETE /metrics/job/fexp/instance/old"]
    assert [labels["instance"] for labels in expired] == ["old"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"data": 5}',
        b'{"data": [{}]}',
        b'{"data": [{"labels": {}, "push_time_seconds": {"metrics": []}}]}',
        b"<html>",
        b"null",
    ],
)
def test_a_list_of_groups_that_is_none_deletes_nothing(body: bytes) -> None:
    with ScriptedServer(answer(200, body)) as server:
        with pytest.raises(OutputError, match="is it a Pushgateway"):
            output(server.url).expire(1)
        assert server.attempts == 1


def test_a_path_prefix_is_kept(tmp_path: Path) -> None:
    with running_pushgateway(tmp_path, arguments=("--web.route-prefix=/pg",), ready_path="/pg/-/ready") as server:
        for url in (f"{server.url}/pg", f"{server.url}/pg/"):
            output(url, instance="h").publish(Numbers())
            assert len(server.get("/pg/api/v1/metrics").json()["data"]) == 1
            output(url, instance="h").expire(-60)
        with pytest.raises(OutputError, match="answered 404: "):
            output(server.url).publish(Numbers())


@pytest.mark.parametrize("gzip", [False, True])
def test_the_body_arrives_plain_and_compressed(gzip: bool, pushgateway: Server) -> None:
    """Mistake 19a: gzip only when asked, snappy never."""
    settings = GatewaySettings(pushgateway.url, instance="h", gzip=gzip)
    GatewayOutput(settings).publish(Numbers(snapshot_of(a=7)))
    assert 'fexp_files{folder="/in/a",instance="h",job="fexp",pattern="*"} 7' in pushgateway.get("/metrics").text


def test_the_gateways_reason_is_told(pushgateway: Server) -> None:
    """Mistakes 7c, 15d: a TYPE that changed is refused, and one reads why."""
    output(pushgateway.url, instance="a").publish(Gauge("x", {(): 1.0}))
    with pytest.raises(OutputError) as caught:
        output(pushgateway.url, instance="b").publish(Gauge("x", {(): 1.0}, kind="summary"))
    text = str(caught.value)
    if "was closed before" in text:
        assert text.endswith(OF_PUSHGATEWAY_1_11)
    else:
        assert re.search(r"answered 400: .* x .*GAUGE|answered 400: .*is not a", text)
        assert caught.value.final


def test_a_gateway_that_closes_instead_of_a_reason_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fexp.outputs.push.sender._FIRST_PAUSE_SECONDS", 60.0)  # one try, then the deadline is over
    with ScriptedServer(raw(b"")) as server:
        pushing = output(server.url, instance="h")
        with pytest.raises(OutputError, match="was closed before the whole answer was there") as caught:
            pushing.publish(Numbers())
        assert str(caught.value).endswith(OF_PUSHGATEWAY_1_11)
        assert not caught.value.final
        importing = output(server.url, instance="h", mode="import")
        with pytest.raises(OutputError) as caught:
            importing.publish(Numbers())
        assert "Pushgateway" not in str(caught.value)


def test_credentials_private_ca_and_client_certificate_together(tmp_path: Path, authority: Authority) -> None:
    """Against the exporter-toolkit's own checks."""
    server_cert, server_key = authority.issue("pushgateway")
    client_cert, client_key = authority.issue("fexp-client")
    hashed = bcrypt.hashpw(b"s3cr3t", bcrypt.gensalt(4)).decode()
    config = tmp_path / "web.yml"
    config.write_text(
        f"tls_server_config:\n  cert_file: {server_cert}\n  key_file: {server_key}\n"
        f"  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: {authority.ca_file}\n"
        f"basic_auth_users:\n  anna: {hashed}\n"
    )
    with running_pushgateway(tmp_path, arguments=(f"--web.config.file={config}",), ready_path=None) as server:
        url = server.url.replace("http:", "https:")
        password_file = tmp_path / "password"
        password_file.write_text("s3cr3t\n")
        tls: dict[str, Any] = {
            "ca_file": str(authority.ca_file),
            "cert_file": str(client_cert),
            "key_file": str(client_key),
            "deadline_seconds": 5.0,
        }

        def push(**settings: Any) -> None:
            GatewayOutput(GatewaySettings(url, instance="h", **settings)).publish(Numbers())

        push(**tls, user="anna", password_file=str(password_file))
        push(**tls, user="anna", password="s3cr3t")
        with pytest.raises(OutputError, match="answered 401: Unauthorized"):
            push(**tls, user="anna", password="wrong")
        with pytest.raises(OutputError, match="answered 401: Unauthorized"):
            push(**tls)
        with pytest.raises(OutputError, match=r"TLS: |closed|reset by peer"):
            push(ca_file=str(authority.ca_file), user="anna", password="s3cr3t", deadline_seconds=1.0)
        # It answers without having read the body; what the kernel then delivers is the answer or the reset.
        with pytest.raises(OutputError, match=r"answered 400: Client sent an HTTP request|reset by peer"):
            output(server.url).publish(Numbers())


def test_import_posts_to_the_exact_url(victoria_metrics: Server) -> None:
    """Mistake 18e: VictoriaMetrics knows no groups."""
    url = f"{victoria_metrics.url}/api/v1/import/prometheus?extra_label=job=imported"
    out = output(url, mode="import")
    out.publish(Numbers(snapshot_of(imported=5)))
    out.retract()
    victoria_metrics.get("/internal/force_flush")
    (result,) = poll(lambda: victoria_metrics.query('fexp_files{job="imported"}'))
    assert (result["metric"]["folder"], result["value"][1]) == ("/in/imported", "5")
    assert out.target == f"{victoria_metrics.url}/api/v1/import/prometheus?…"
    assert out.place is None


def test_what_is_imported_says_whose_it_is(victoria_metrics: Server) -> None:
    """Mistake 17a, without a group: two hosts with the same folder must not be one series."""
    for host, files in (("one", 1), ("two", 2)):
        url = f"{victoria_metrics.url}/api/v1/import/prometheus"
        out = output(url, mode="import", job="whose", instance=host, grouping=["rack=7"])
        out.publish(Numbers(snapshot_of(whose=files)))
    victoria_metrics.get("/internal/force_flush")

    def stored() -> dict[str, str]:
        results = victoria_metrics.query('fexp_files{job="whose",rack="7"}')
        return {one["metric"]["instance"]: one["value"][1] for one in results}

    poll(lambda: stored() == {"one": "1", "two": "2"})


def test_import_deletes_nothing_and_keeps_the_url() -> None:
    """Mistake 18e."""
    with ScriptedServer(answer(204)) as server:
        out = output(f"{server.url}/a/b?c=d&e=%2F", mode="import")
        out.publish(Numbers())
        out.retract()
        assert [head.splitlines()[0] for head in server.heads] == ["POST /a/b?c=d&e=%2F HTTP/1.1"]


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"job": ""}, "--job is empty"),
        ({"grouping": ["a"]}, "write NAME=VALUE"),
        ({"grouping": ["=x"]}, "not a label name"),
        ({"grouping": ["__x=1"]}, "not a label name"),
        ({"grouping": ["a.b=1"]}, "not a label name"),
        ({"grouping": ["1a=1"]}, "not a label name"),
        ({"grouping": ["ä=1"]}, "not a label name"),
        ({"grouping": ["a@base64=1"]}, "not a label name"),
        ({"grouping": ["a\n=1"]}, "not a label name"),
        ({"grouping": ["a=1", "a=2"]}, "there already; give it once"),
        ({"grouping": ["job=1"]}, "there already; use --job"),
        ({"grouping": ["instance=1"]}, "there already; use --instance"),
        ({"grouping": ["folder=/x"]}, "label folder: on the series and in the gateway's key"),
        ({"grouping": ["le=1"]}, "label le: on the series"),
        ({"grouping": ["output=x"]}, "label output: on the series"),
        ({"grouping": ["a=\udcff"]}, "not UTF-8"),
        ({"job": "\udcff"}, "not UTF-8"),
        ({"mode": "aggregate"}, "'aggregate' is not known: pushgateway, import"),
        ({"mode": "import", "grouping": ["folder=x"]}, "label folder: on the series"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], complaint: str) -> None:
    """Mistake 17b: a grouping label that is a metric's own label makes duplicates of all its series."""
    with pytest.raises(SettingsError) as caught:
        output("http://127.0.0.1:9091", **settings)
    assert complaint in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_query_belongs_to_an_import_url_only() -> None:
    with pytest.raises(SettingsError, match="has no query"):
        output("http://127.0.0.1:9091/?a=secret")


def test_a_label_of_the_users_own_may_not_be_part_of_the_key() -> None:
    with pytest.raises(SettingsError, match="label stage: on the series"):
        made("http://h", grouping=["stage=x"]).check_labels({"stage"})
    with pytest.raises(SettingsError, match="label instance: on the series"):
        made("http://h").check_labels({"instance"})


@pytest.mark.slow
@given(
    st.text(),
    st.none() | st.text(),
    st.lists(st.text() | st.from_regex(r"[a-z_]+=.*")),
    st.sampled_from(list(GatewayMode)),
)
def test_any_settings_are_accepted_or_a_settings_error(
    job: str, instance: str | None, grouping: list[str], mode: str
) -> None:
    try:
        settings = made("http://h", job=job, instance=instance, grouping=grouping, mode=mode)
    except SettingsError as error:
        shown = str(error)
    else:
        shown = grouping_path(settings.key)
        assert decoded(shown) == list(settings.key)
    assert shown.isprintable()


def test_an_unreachable_gateway_says_so_in_one_line() -> None:
    port = free_port()
    out = GatewayOutput(GatewaySettings(f"http://127.0.0.1:{port}", deadline_seconds=0.2))
    with pytest.raises(OutputError) as caught:
        out.publish(Numbers())
    assert str(caught.value) == f"http://127.0.0.1:{port}: Connection refused"
    assert caught.value.exit_status == 1


def test_importing_is_cheap() -> None:
    code = (
        "import sys, fexp.outputs.push.gateway, fexp.outputs.push.remote_write, fexp.outputs.textfile;"
        "print([name for name in ('urllib3', 'ssl', 'cramjam', 'prometheus_client') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
