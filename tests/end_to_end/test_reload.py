"""Config files of a running fexp: reloads, and what comes and goes by itself."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from fexp.service.config_watch import ConfigWatch
from tests.end_to_end.running import run, samples, watching
from tests.servers import fetch, poll, running_prometheus

if TYPE_CHECKING:
    from pathlib import Path

    from tests.end_to_end.running import Watching

SCRAPE = """\
global: {scrape_interval: 500ms, scrape_timeout: 500ms}
scrape_configs: [{job_name: fexp, static_configs: [{targets: ["%s"]}]}]
"""
LISTEN = "outputs:\n  listen: ['127.0.0.1:0']\n"


def folders_up(running: Watching) -> set[str]:
    found = samples(running.get("/metrics").text)
    return {dict(labels)["folder"] for (name, labels), value in found.items() if name == "fexp_folder_up" and value}


def reload(running: Watching) -> tuple[int, str]:
    reply = fetch(f"{running.url}/-/reload", method="POST")
    return reply.status, reply.text


def test_a_reload_under_load_leaves_no_gap_and_keeps_what_did_not_change(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    for name in ("kept", *map(str, range(8))):
        (tmp_path / name).mkdir()
    config = tmp_path / "fexp.yml"
    config.write_text(f"folders: [kept, '0']\n{LISTEN}")
    stopping = threading.Event()
    seen: list[float | None] = []
    made = 0

    with watching("--config", str(config)) as running:

        def scrape() -> None:
            while not stopping.is_set():
                reply = running.get("/metrics")
                found = [
                    value
                    for (name, labels), value in samples(reply.text).items()
                    if name == "fexp_arrivals_total" and ("folder", str(kept)) in labels
                ]
                seen.append(found[0] if reply.status == 200 and len(found) == 1 else None)

        scraper = threading.Thread(target=scrape)
        scraper.start()
        try:
            for number in range(8):
                config.write_text(
                    f"folders: [kept, '{number}', {{path: '{(number + 1) % 8}', ext: e{number}}}]\n{LISTEN}"
                )
                for _ in range(50):
                    made += 1
                    (kept / str(made)).touch()
                assert reload(running) == (200, "reloaded\n")
                poll(lambda: len(folders_up(running)) == 3)
        finally:
            stopping.set()
            scraper.join(20)
        assert seen == sorted(value for value in seen if value is not None), "a gap, or a counter that went back"
        assert poll(lambda: running.value("fexp_arrivals_total", folder=str(kept)) == made)
        scans = [running.value("fexp_scans_total", folder=str(kept), reason=reason) for reason in ("start", "reload")]
        assert scans == [1.0, 0.0]


@pytest.mark.slow
def test_prometheus_sees_no_gap_while_folders_come_and_go(tmp_path: Path) -> None:
    """Reloads of all three kinds while files arrive; a scrape every half second says how it looked from there."""
    for name in ("kept", "old", "new", "newer", "newest"):
        (tmp_path / name).mkdir()
    kept, config, made = tmp_path / "kept", tmp_path / "fexp.yml", 0

    def watch(*names: str) -> None:
        (tmp_path / "next.yml").write_text(f"folders: [{', '.join(names)}]\n{LISTEN}")
        (tmp_path / "next.yml").rename(config)

    watch("kept", "old")
    with (
        watching("--config", str(config), "--watch-config") as running,
        running_prometheus(tmp_path / "prometheus", config=SCRAPE % running.url.partition("//")[2]) as prometheus,
    ):

        def seen(expression: str) -> list[tuple[str, float]]:
            found = prometheus.query(expression)
            return [(os.path.basename(one["metric"].get("folder", "")), float(one["value"][1])) for one in found]

        def up(*names: str) -> bool:
            nonlocal made
            made += 1
            (kept / str(made)).touch()
            return sorted(seen("fexp_folder_up == 1")) == sorted((name, 1.0) for name in names)

        poll(lambda: up("kept", "old"), every_seconds=0.25)
        watch("kept", "old", "new")
        running.process.send_signal(signal.SIGHUP)
        poll(lambda: up("kept", "old", "new"), every_seconds=0.25)
        watch("newer", "new", "kept")
        assert reload(running)[0] == 200
        poll(lambda: up("kept", "new", "newer"), every_seconds=0.25)
        watch("kept", "newer", "newest", "new")
        poll(lambda: up("kept", "new", "newer", "newest"), every_seconds=0.25)

        series = f'{{folder="{kept}"}}[5m]'
        poll(lambda: seen(f'fexp_arrivals_total{{folder="{kept}"}}') == [("kept", made)])
        assert seen("min_over_time(up[5m])") == [("", 1.0)]
        for name in ("fexp_arrivals_total", "fexp_files", "fexp_folder_up"):
            assert seen(f"count_over_time(up[5m]) - on () count_over_time({name}{series})") == [("", 0.0)], name
        assert seen(f"resets(fexp_arrivals_total{series})") == [("kept", 0.0)]
        old = f'fexp_files{{folder="{tmp_path}/old"}}'
        assert (seen(old), seen(f"max_over_time({old}[5m])")) == ([], [("old", 0.0)])
        assert seen('sum by (folder) (fexp_scans_total{reason!="start"}) > 0') == []


def test_a_broken_file_changes_nothing_and_is_told(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    config = tmp_path / "fexp.yml"
    config.write_text(f"folders: [in]\n{LISTEN}")
    with watching("--config", str(config)) as running:
        reloaded_at = running.value("fexp_config_last_reload_success_timestamp_seconds")
        config.write_text("folders: [in, other]\nfolderz: []")
        complaint = f"{config}:2:1: unknown key 'folderz'; did you mean folders?\n"
        assert reload(running) == (400, complaint)
        assert folders_up(running) == {str(tmp_path / "in")}
        assert running.value("fexp_config_last_reload_successful") == 0.0
        assert running.value("fexp_config_last_reload_success_timestamp_seconds") == reloaded_at
        (tmp_path / "other").mkdir()
        config.write_text("folders: [in, other]\nengine: {rescan: 1m}\noutputs: {listen: [':1'], heartbeat: 5s}")
        running.process.send_signal(signal.SIGHUP)
        poll(lambda: running.value("fexp_config_last_reload_successful") == 1.0)
        poll(lambda: folders_up(running) == {str(tmp_path / "in"), str(tmp_path / "other")})
        assert any("reloaded, but for what needs a restart of fexp: listen, rescan" in line for line in running.lines)


def test_a_broken_web_config_keeps_the_other_files_from_being_taken_up(tmp_path: Path) -> None:
    for name in ("in", "other"):
        (tmp_path / name).mkdir()
    config, web = tmp_path / "fexp.yml", tmp_path / "web.yml"
    web.write_text("rate_limit: {interval: 0}")
    listen = f"{LISTEN}  web_config: web.yml\n"
    config.write_text(f"folders: [in]\n{listen}")
    with watching("--config", str(config)) as running:
        web.write_text("rate_limits: {}")
        config.write_text(f"folders: [in, other]\n{listen}")
        assert reload(running) == (
            400, f"web config {web}:1:1: unknown key 'rate_limits'; did you mean rate_limit?\n"
        )  # fmt: skip
        assert running.value("fexp_config_last_reload_successful") == 0.0
        assert folders_up(running) == {str(tmp_path / "in")}
        web.write_text("rate_limit: {interval: 0}")
        assert reload(running)[0] == 200
        poll(lambda: folders_up(running) == {str(tmp_path / "in"), str(tmp_path / "other")})
        assert running.value("fexp_config_last_reload_successful") == 1.0


def test_an_output_that_changed_is_replaced_and_its_deliveries_go_on(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    config, first, second = tmp_path / "fexp.yml", tmp_path / "out" / "first.prom", tmp_path / "out" / "second.prom"
    first.parent.mkdir()
    text = f"folders: [in]\n{LISTEN}  min_interval: 0\n  textfile: {{file: out/first.prom}}\n"
    config.write_text(text)
    with watching("--config", str(config)) as running:
        poll(first.exists)
        before = running.value("fexp_deliveries_total", output="textfile") or 0.0
        config.write_text(text.replace("first", "second"))
        assert reload(running)[0] == 200
        poll(second.exists)
        assert not first.exists()
        assert poll(lambda: (running.value("fexp_deliveries_total", output="textfile") or 0.0) > before)
        assert run("write", str(tmp_path / "in"), "--textfile", str(first)).returncode == 0  # its lock is free
        assert run("write", str(tmp_path / "in"), "--textfile", str(second)).returncode == 1
        config.write_text(text.replace("first.prom", "second.prom, mode: 0600"))
        assert reload(running)[0] == 200
        poll(lambda: second.exists() and second.stat().st_mode & 0o777 == 0o600)
        config.write_text(text.replace("out/first.prom", "in/x.prom"))
        status, complaint = reload(running)
        assert (status, "would count as a file of" in complaint) == (400, True)
        assert second.exists()
        config.write_text(f"folders: [in]\n{LISTEN}")
        assert reload(running)[0] == 200
        assert not second.exists()
        assert running.value("fexp_deliveries_total", output="textfile") is None


def test_folders_of_globs_and_subfolders_come_and_go_at_once(tmp_path: Path) -> None:
    for name in ("acme/inbox", "bmw/inbox", "sub/a"):
        (tmp_path / name).mkdir(parents=True)
    config = tmp_path / "fexp.yml"
    config.write_text(f"folders: ['*/inbox', {{path: sub, per_subfolder: true}}]\n{LISTEN}")
    with watching("--config", str(config)) as running:
        assert folders_up(running) == {str(tmp_path / name) for name in ("acme/inbox", "bmw/inbox", "sub/a")}
        (tmp_path / "acme" / "inbox" / "1").touch()
        (tmp_path / "new" / "inbox").mkdir(parents=True)
        (tmp_path / "sub" / "b").mkdir()
        (tmp_path / "bmw").rename(tmp_path / "bmv")
        wanted = {str(tmp_path / name) for name in ("acme/inbox", "bmv/inbox", "new/inbox", "sub/a", "sub/b")}
        poll(lambda: folders_up(running) == wanted, every_seconds=0.01)
        assert running.value("fexp_arrivals_total", folder=str(tmp_path / "acme" / "inbox")) == 1.0
        (tmp_path / "sub" / "b" / "1").touch()
        assert poll(lambda: running.value("fexp_files", folder=str(tmp_path / "sub" / "b")) == 1.0)


def test_one_shots_see_the_subfolders_that_there_are(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "1").touch()
    done = run("scan", "--per-subfolder", str(tmp_path))
    found = {
        dict(labels)["folder"]: value for (name, labels), value in samples(done.stdout).items() if name == "fexp_files"
    }
    assert found == {str(tmp_path / "a"): 0.0, str(tmp_path / "b"): 1.0}


def test_a_one_shot_that_cannot_list_the_folders_says_so_and_fails(tmp_path: Path) -> None:
    done = run("write", "--per-subfolder", str(tmp_path / "gone"), "--textfile", str(tmp_path / "x.prom"))
    complaint = f"fexp: {tmp_path}/gone: No such file or directory; no folder is found there\n"
    assert (done.returncode, done.stderr) == (1, complaint)


# Following the files ------------------------------------------------------------------------------------------------


def looks(path: Path) -> ConfigWatch:
    return ConfigWatch([str(path)], lambda: None)


def test_a_file_that_is_replaced_is_noticed_once_it_is_at_rest(tmp_path: Path) -> None:
    config = tmp_path / "fexp.yml"
    config.write_text("a")
    watch = looks(config)
    assert [watch.look() for _ in range(2)] == [False, False]
    (tmp_path / "new").write_text("b")
    (tmp_path / "new").rename(config)
    assert not watch.look()
    with config.open("a") as file:
        file.write("c")
    assert [watch.look() for _ in range(3)] == [False, True, False]
    config.unlink()
    assert [watch.look() for _ in range(3)] == [False, True, False]


@pytest.mark.parametrize("is_directory", [True, False])
def test_a_swap_of_a_configmap_is_noticed(tmp_path: Path, is_directory: bool) -> None:
    """As the kubelet does it: all files are links through ``..data``, which is replaced."""
    for name in ("..1", "..2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "fexp.yml").write_text("same")
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "fexp.yml").symlink_to("..data/fexp.yml")
    watch = looks(tmp_path if is_directory else tmp_path / "fexp.yml")
    assert not watch.look()
    (tmp_path / "..data_tmp").symlink_to("..2")
    (tmp_path / "..data_tmp").rename(tmp_path / "..data")
    assert [watch.look() for _ in range(3)] == [False, True, False]


def test_files_that_come_and_go_in_a_directory_are_noticed(tmp_path: Path) -> None:
    (tmp_path / "a.yml").touch()
    watch = looks(tmp_path)
    (tmp_path / "b.yml").touch()
    assert [watch.look() for _ in range(2)] == [False, True]
    (tmp_path / "notes").touch()
    assert [watch.look() for _ in range(2)] == [False, False]
    (tmp_path / "b.yml").unlink()
    assert [watch.look() for _ in range(2)] == [False, True]


def test_a_change_of_a_replaced_file_is_taken_up(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    config = tmp_path / "fexp.yml"
    config.write_text(f"folders: [a]\n{LISTEN}")
    with watching("--config", str(config), "--watch-config") as running:
        (tmp_path / "new").write_text(f"folders: [a, b]\n{LISTEN}")
        (tmp_path / "new").rename(config)
        assert poll(lambda: folders_up(running) == {str(tmp_path / "a"), str(tmp_path / "b")})


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts")
def test_a_change_of_a_file_that_is_mounted_by_itself_is_taken_up(tmp_path: Path) -> None:
    """As a container has it: of such a file only what is written in its place can be seen."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    host, config = tmp_path / "host.yml", tmp_path / "fexp.yml"
    host.write_text(f"folders: [a]\n{LISTEN}")
    config.touch()
    mount = ["unshare", "--mount", "sh", "-euc", 'mount --bind "$0" "$1"; shift; exec "$@"', str(host), str(config)]
    with watching("--config", str(config), "--watch-config", launcher=mount) as running:
        host.write_text(f"folders: [a, b]\n{LISTEN}")
        assert poll(lambda: folders_up(running) == {str(tmp_path / "a"), str(tmp_path / "b")})


def test_following_needs_something_to_follow(tmp_path: Path) -> None:
    done = run("watch", "--watch-config", str(tmp_path))
    assert (done.returncode, done.stderr) == (
        2, "fexp: --watch-config follows config files, but there are none: add --config\n"
    )  # fmt: skip
