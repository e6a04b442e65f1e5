"""Where the numbers go: files, readers, receivers, addresses, and other fexp processes. Against real servers."""

from __future__ import annotations

import os
import socket
from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest

from fexp.outputs.http.listen import parse_listen
from fexp.outputs.http.sockets import check_free
from fexp.service import locks
from fexp.service.check import node_exporter as reader
from fexp.service.check import processes, reading, running
from fexp.service.check.processes import Identity
from tests.outputs.scripted import ScriptedServer, answer, hang
from tests.servers import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from tests.check.reports import Check
    from tests.servers import NodeExporter, Server


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


# Addresses ----------------------------------------------------------------------------------------------------------


def test_an_address_that_somebody_listens_on_fails_and_names_who(check: Check, data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for text in (f"127.0.0.1:{port}", f":{port}", f"localhost:{port}"):
            report = check(data, "--listen", text)
            found = report.only("listening")
            assert (report.status, found.level) == (1, "error")
            assert f"process {os.getpid()} (" in found.what
            assert found.mend == f"ss -ltnp 'sport = {port}'"
    assert check(data, "--listen", f"127.0.0.1:{port}").status == 0


def test_nothing_is_listened_on_and_a_socket_file_stays(check: Check, data: Path, tmp_path: Path) -> None:
    path = tmp_path / "fexp.sock"
    assert check(data, "--listen", f"unix:{path}").only("listening").what == f"unix:{path} is free"
    assert not path.exists()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
        left.listen()
        assert "somebody else listens there" in check(data, "--listen", f"unix:{path}").only("listening").what
    assert check(data, "--listen", f"unix:{path}").status == 0  # its process is gone: fexp will take its place
    assert path.is_socket()
    found = check(data, "--listen", "unix:/no/such/x.sock").only("listening")
    assert ("the directory does not exist" in found.what, found.mend) == (True, "mkdir -p /no/such")
    assert check(data, "--listen", "192.0.2.1:9877").only("listening").mend == "ip address"
    assert check(data, "--listen", "x.invalid:9877").only("listening").mend == "getent ahosts x.invalid"


@pytest.mark.parametrize("text", ["127.0.0.1:0", ":0", "[::1]:0", "[::]:0", "localhost:0", "systemd"])
def test_what_fexp_can_listen_on_is_free(text: str) -> None:
    if "::" in text and not socket.has_ipv6:
        pytest.skip("there is no IPv6")
    check_free(parse_listen(text))


def test_a_web_config_whose_key_is_missing_fails(check: Check, data: Path, tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    path.write_text("tls_server_config: {cert_file: no.crt, key_file: no.key}\n")
    report = check(data, "--listen", "127.0.0.1:0", "--web-config", path)
    assert (report.status, f"{tmp_path}/no.crt" in report.of("listening")[1].what) == (1, True)
    path.write_text("{}")
    assert check(data, "--listen", "127.0.0.1:0", "--web-config", path).status == 0


# The textfile and its reader ----------------------------------------------------------------------------------------


def test_a_file_that_cannot_be_written_or_would_count_fails(check: Check, data: Path, tmp_path: Path) -> None:
    report = check(data, "--textfile", tmp_path / "no" / "f.prom")
    assert (report.status, report.only("textfile").mend.startswith("install -d -m 0755 -o ")) == (1, True)
    (tmp_path / "d.prom").mkdir()
    assert "is a directory" in check(data, "--textfile", tmp_path / "d.prom").only("textfile").what
    report = check(data, "--textfile", data / "f.prom")
    assert (report.status, report.only("textfile").mend) == (1, "write it elsewhere, or add --exclude f.prom")
    assert check(data, "--textfile", tmp_path / "f.prom").only("textfile").level == "ok"
    assert not (tmp_path / "f.prom").exists()


def test_a_full_file_system_is_found(check: Check, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space = list(os.statvfs(tmp_path))
    space[4] = 0  # f_bavail
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result(space))
    assert check(data, "--textfile", tmp_path / "f.prom").only("textfile").mend == f"df -h {tmp_path}"


def _open(directory: Path) -> None:
    """Let everybody reach a directory of the tests."""
    for way in (directory, *directory.parents):
        if way.stat().st_uid == os.geteuid() and len(way.parts) > 2:
            way.chmod(way.stat().st_mode | 0o055)


def test_a_node_exporter_that_reads_the_directory_is_well(
    check: Check, data: Path, node_exporter: NodeExporter
) -> None:
    url = node_exporter.server.url + "/metrics"
    _open(node_exporter.directory)
    for is_written in (False, True):  # before there is a file, the process tells which directory it reads
        if is_written:
            (node_exporter.directory / "other.prom").write_text("a 1\n")
        report = check(data, "--textfile", node_exporter.directory / "fexp.prom", "--node-exporter", url)
        assert (report.status, report.bad()) == (0, [])
        assert report.only("node_exporter").what == f"node_exporter at {url} reads {node_exporter.directory}"


def test_one_that_reads_another_directory_is_found_out(
    check: Check, data: Path, tmp_path: Path, node_exporter: NodeExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = node_exporter.server.url + "/metrics"
    _open(tmp_path)
    arguments = (data, "--textfile", tmp_path / "fexp.prom", "--node-exporter", url)
    (found,) = check(*arguments).of("node_exporter")
    assert found.level == "error"
    assert found.what == f"node_exporter at {url} does not read {tmp_path}, but {node_exporter.directory}"
    assert found.mend == f"--textfile {node_exporter.directory}/fexp.prom"
    monkeypatch.setattr(reader, "_process", lambda _: None)  # as where processes are hidden
    assert check(*arguments).only("node_exporter").level == "warning"
    (tmp_path / "other.prom").write_text("a 1\n")
    assert check(*arguments).only("node_exporter").level == "error"
    (tmp_path / "other.prom").unlink()
    (node_exporter.directory / "mine.prom").write_text("a 1\n")
    assert check(*arguments).only("node_exporter").level == "error"


@pytest.mark.parametrize(("other", "level", "shown"), [("a.prom", "error", 7), ("old.prom", "warning", 1)])
def test_a_file_that_hides_ours_is_found(
    check: Check, data: Path, node_exporter: NodeExporter, other: str, level: str, shown: int
) -> None:
    """Of two files with one series, the real one shows the first by name and says nothing."""
    url = node_exporter.server.url + "/metrics"
    _open(node_exporter.directory)
    arguments = (data, "--textfile", node_exporter.directory / "fexp.prom", "--node-exporter", url)
    series = f'# TYPE fexp_folder_up gauge\nfexp_folder_up{{team="a",folder="{data}"}} '
    (node_exporter.directory / other).write_text(f"{series}7\n")
    report = check(*arguments)
    same, well = report.of("node_exporter")
    assert (report.status, same.level, well.level) == (level == "error", level, "ok")
    assert same.what == f"{node_exporter.directory}/{other} has the same series of {data}"
    (node_exporter.directory / "fexp.prom").write_text(f"{series}1\n")
    assert f'fexp_folder_up{{folder="{data}",team="a"}} {shown}\n' in node_exporter.metrics()
    (node_exporter.directory / other).write_text("# TYPE fexp_files counter\nfexp_files 1\n")
    kind, _ = check(*arguments).of("node_exporter")
    assert (kind.level, "has fexp_files as a counter, fexp as a gauge" in kind.what) == (level, True)


def test_one_that_reads_no_textfiles_or_is_not_there(check: Check, data: Path, tmp_path: Path) -> None:
    _open(tmp_path)
    file = tmp_path / "fexp.prom"
    with ScriptedServer(answer(200, b"node_cpu 1\n")) as server:
        url = f"{server.url}/metrics"
        assert (
            check(data, "--textfile", file, "--node-exporter", url).only("node_exporter").what.endswith("no textfiles")
        )
    with ScriptedServer(answer(500, b"something is wrong")) as server:
        report = check(data, "--textfile", file, "--node-exporter", server.url)
        assert report.only("node_exporter").what.endswith("answers 500: something is wrong")
    report = check(data, "--textfile", file)
    assert (report.status, report.only("node_exporter").level) == (0, "warning")
    assert report.only("node_exporter").what.endswith("Connection refused")
    for nonsense in ("nonsense", "http://127.0.0.1:port/", "http://[", "x://y"):
        assert check(data, "--textfile", file, "--node-exporter", nonsense).only("node_exporter").level == "warning"


def test_a_reader_that_hangs_is_given_up(
    check: Check, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_SECONDS", 0.1)
    _open(tmp_path)
    with ScriptedServer(hang) as server:
        report = check(data, "--textfile", tmp_path / "fexp.prom", "--node-exporter", server.url)
        assert "does not answer within 0.1 s" in report.only("node_exporter").what


def test_a_file_that_the_reader_may_not_read_is_found(check: Check, data: Path, tmp_path: Path) -> None:
    _open(tmp_path)
    (tmp_path / "closed").mkdir(mode=0o700)
    closed, _ = check(data, "--textfile", tmp_path / "closed" / "f.prom").of("node_exporter")
    assert (closed.level, closed.what) == ("warning", f"{tmp_path}/closed is closed to other users")
    assert closed.mend == f"chmod o+rx {tmp_path}/closed"
    mode, _ = check(data, "--textfile", tmp_path / "f.prom", "--textfile-mode", "0600").of("node_exporter")
    assert mode.mend == "--textfile-mode 0644"


def test_what_is_closed_to_the_node_exporter_that_runs_fails(
    check: Check, data: Path, node_exporter: NodeExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    _open(node_exporter.directory)
    monkeypatch.setattr(processes, "identity", lambda _: Identity(61234, frozenset({61234})))
    arguments = (data, "--textfile", node_exporter.directory / "f.prom")
    url = node_exporter.server.url + "/metrics"
    assert check(*arguments, "--node-exporter", url).status == 0
    report = check(*arguments, "--node-exporter", url, "--textfile-mode", "0600")
    assert (report.status, report.of("node_exporter")[0].level) == (1, "error")
    assert report.of("node_exporter")[0].what.endswith("f.prom is closed to node_exporter (user 61234)")


def test_modes_are_read_as_the_kernel_reads_them(tmp_path: Path) -> None:
    _open(tmp_path)
    place = tmp_path / "d"
    place.mkdir()
    user, group = os.geteuid() + 1, place.stat().st_gid

    def closed(mode: int, reader: Identity | None, file_mode: int = 0o644) -> str | None:
        place.chmod(mode)
        return reading.closed_to(reader, str(place), file_mode, "file")

    member, stranger = Identity(user, frozenset({group})), Identity(user, frozenset({group + 1}))
    assert closed(0o755, None) is None
    assert closed(0o750, None) == closed(0o750, stranger) == str(place)
    assert closed(0o750, member) is None
    assert closed(0o705, member) == str(place)  # the group's bits hold for a member, whatever others may
    assert closed(0o750, member, 0o600) == "file"
    assert closed(0o2750, member, 0o640) is None
    assert closed(0o000, Identity(0, frozenset())) is None
    assert closed(0o700, Identity(os.geteuid(), frozenset())) is None


@pytest.mark.parametrize(
    ("words", "directories"),
    [
        (["/usr/bin/prometheus-node-exporter", "--collector.textfile.directory=/a"], ["/a"]),
        (["node_exporter", "--collector.textfile.directory", "/a", "--collector.textfile.directory=/b"], ["/a", "/b"]),
        (["node_exporter", "--web.listen-address=:9100"], []),
        (["node_exporter", "--web.listen-address", "10.0.0.1:9200", "--collector.textfile.directory=/a"], []),
        (["python3", "node_exporter", "--collector.textfile.directory=/a"], []),
    ],
)
def test_a_node_exporters_process_tells_what_it_reads(
    words: list[str], directories: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "processes", lambda: iter([7]))
    monkeypatch.setattr(processes, "command_line", lambda _: tuple(words))
    assert reader._directories(reader._process("http://127.0.0.1:9100/metrics")) == directories


# Receivers ----------------------------------------------------------------------------------------------------------


def test_a_pushgateway_is_asked_and_nothing_is_pushed(check: Check, data: Path, pushgateway: Server) -> None:
    report = check(data, "--gateway", pushgateway.url)
    assert (report.status, report.bad()) == (0, [])
    assert report.only("gateway").what.startswith(f"{pushgateway.url} is a Pushgateway 1.")
    assert pushgateway.get("/api/v1/metrics").json()["data"] == []


def test_what_is_no_pushgateway_or_not_there_fails(check: Check, data: Path, prometheus: Server) -> None:
    report = check(data, "--gateway", prometheus.url)
    assert (report.status, "answered 404" in report.only("gateway").what) == (1, True)
    with ScriptedServer(answer(200, b"{}")) as server:
        assert "is no Pushgateway" in check(data, "--gateway", server.url).only("gateway").what
    url = f"http://127.0.0.1:{free_port()}"
    report = check(data, "--gateway", url)
    assert (report.status, report.only("gateway").mend) == (1, f"curl -v {url}/-/ready")
    assert report.only("gateway").what == f"{url}: Connection refused"


def test_prometheus_takes_a_request_without_samples(check: Check, data: Path, prometheus: Server) -> None:
    report = check(data, "--remote-write", f"{prometheus.url}/api/v1/write")
    assert (report.status, report.bad()) == (0, [])
    assert report.only("remote write").what == f"{prometheus.url}/api/v1/write takes remote write"
    report = check(data, "--remote-write", f"{prometheus.url}/nowhere")
    assert (report.status, "check the path of the URL" in report.only("remote write").what) == (1, True)


@pytest.mark.slow
def test_victoria_metrics_takes_requests_and_imports_without_samples(
    check: Check, data: Path, victoria_metrics: Server
) -> None:
    report = check(
        data, "--remote-write", f"{victoria_metrics.url}/api/v1/write", "--gateway-mode", "import",
        "--gateway", f"{victoria_metrics.url}/api/v1/import/prometheus",
    )  # fmt: skip
    assert (report.status, report.bad()) == (0, [])
    assert report.only("gateway").what.endswith("takes an import of nothing")


def test_a_refusal_is_told_with_its_reason_and_without_its_secret(check: Check, data: Path, tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("hush-hush-hush")
    with ScriptedServer(answer(401, b"no hush-hush-hush here")) as server:
        report = check(data, "--remote-write", server.url, "--remote-write-token-file", secret)
        readable, refused = report.of("remote write")
    assert report.status == 1
    assert "check the credentials" in refused.what
    assert "hush" not in refused.what
    assert (readable.level, readable.mend) == ("warning", f"chmod o-r {secret}")
    secret.unlink()
    assert (
        str(secret)
        in check(data, "--gateway", "http://127.0.0.1:9", "--gateway-token-file", secret).only("gateway").what
    )


def test_a_receiver_that_wants_samples_is_there_all_the_same(check: Check, data: Path) -> None:
    with ScriptedServer(answer(400, b"empty request")) as server:
        report = check(data, "--remote-write", server.url)
    assert (report.status, report.only("remote write").level) == (0, "warning")


def test_a_receiver_with_another_time_is_named(check: Check, data: Path) -> None:
    with ScriptedServer(answer(204, Date=formatdate(1e9, usegmt=True))) as server:
        _, skew = check(data, "--remote-write", server.url).of("remote write")
    assert (skew.level, skew.what.endswith("s behind"), skew.mend) == ("warning", True, "timedatectl set-ntp true")


# Other fexp processes -----------------------------------------------------------------------------------------------


def test_another_fexp_with_the_same_target_is_found_and_left_alone(
    check: Check, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "f.prom"
    lock_files = set(os.listdir(os.environ["XDG_RUNTIME_DIR"]))
    assert check(data, "--textfile", file).only("other fexp").level == "ok"
    assert set(os.listdir(os.environ["XDG_RUNTIME_DIR"])) == lock_files
    with locks.alone(os.path.realpath(file), shown="it"):
        report = check(data, "--textfile", file)
        found = report.only("other fexp")
        assert (report.status, found.mend) == (1, f"kill {os.getpid()}")
        assert f"another fexp delivers to {file}: process {os.getpid()} (" in found.what
        ours = ("/usr/bin/python3", "/usr/bin/fexp", "watch", "--textfile", str(file), str(data))
        monkeypatch.setattr(running, "command_line", lambda _: ours)
        assert "already, process" in check("--textfile", file, data).only("other fexp").what
        assert check("--textfile", file, data, "-r").only("other fexp").level == "error"
        monkeypatch.setattr(os, "major", lambda _: 99)  # as with a file system that has several numbers
        found = check(data, "--textfile", file).only("other fexp")
        assert (found.level, found.what.endswith("one that cannot be seen")) == ("error", True)
    assert locks.holder(os.path.realpath(file)) is None


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        (("/usr/bin/python3", "/usr/bin/fexp", "watch", "/a"), ("/a",)),
        (("/opt/fexp/bin/fexp", "watch"), ()),
        (("python3", "-m", "fexp", "watch", "/a", "-r"), ("/a", "-r")),
        (("/usr/bin/python3", "/x/fexp/__main__.py", "watch", "/a"), ("/a",)),
        (("watch", "fexp"), None),
        (("/usr/bin/fexp", "scan", "watch"), None),
        ((), None),
    ],
)
def test_a_watching_fexp_is_known_by_its_command_line(
    words: tuple[str, ...], arguments: tuple[str, ...] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "command_line", lambda _: words)
    assert running.watch_arguments(7) == arguments
