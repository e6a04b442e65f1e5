"""Names of files: what ``scan --list`` prints, and where none may be."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from fexp.config.settings import HttpSettings, Settings
from fexp.counting.selection import Folder, Selection
from fexp.service.daemon import Daemon
from tests.daemons import Scripted, ticks_until
from tests.end_to_end.running import run
from tests.servers import fetch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

    from fexp.service.signals import Command

OPENMETRICS = {"Accept": "application/openmetrics-text"}


def test_scan_prints_files_below_a_heading_for_each_folder(tmp_path: Path) -> None:
    inbox, sub = tmp_path / "inbox", tmp_path / "inbox" / "sub"
    sub.mkdir(parents=True)
    for size, below in enumerate([b"a.csv", b"sub/b\xff\x1b[31m.csv", b"sub/c.csv"]):
        path = os.path.join(os.fsencode(inbox), below)
        with open(path, "wb") as file:
            file.write(b"x" * size)
        os.utime(path, (1e9, 1e9 + size))
    (tmp_path / "empty").mkdir()
    folders = (str(inbox), str(tmp_path / "empty"), str(tmp_path / "gone"))
    ended = run("scan", *folders, "-r", "--list", "newest", "--limit", "2", TZ="UTC")
    assert ended.returncode == 1, "one cannot be read"
    heading, titles, *rows, _, empty, _, gone = ended.stdout.splitlines()
    assert heading == f"{inbox}: 2 of 3 files, the newest first"
    assert titles.split() == ["AGE", "SIZE", "MODIFIED", "FILE"]
    assert [row.split("  ")[-1] for row in rows] == ["sub/c.csv", r"sub/b\xff\x1b[31m.csv"]
    assert "2001-09-09 01:46:42" in rows[0]
    assert (empty, gone) == (f"{tmp_path}/empty: no files", f"{tmp_path}/gone: cannot be read")
    ended = run("scan", str(inbox), "-r", "--list", "empty", "--format", "json")
    (folder,) = json.loads(ended.stdout)["folders"]
    assert (folder["folder"], folder["total"]) == (str(inbox), 1)
    assert [(file["path"], file["size_bytes"], file["modified_at"]) for file in folder["files"]] == [("a.csv", 0, 1e9)]


def test_a_config_may_hide_the_names_of_some_folders(tmp_path: Path) -> None:
    for name in ("clinic", "inbox"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.txt").touch()
    config = tmp_path / "fexp.yml"
    config.write_text("folders: [{path: clinic, no_file_names: true}, {path: inbox}]\n")
    shown = run("scan", "--config", str(config), "--list", "oldest").stdout
    assert f"{tmp_path}/clinic: the names of its files stay in fexp\n" in shown
    assert shown.endswith("  inbox.txt\n")
    config.write_text("folders: [{path: clinic, no_file_names: true}]\n")
    refused = run("scan", "--config", str(config), "--list", "oldest")
    assert (refused.returncode, refused.stdout) == (2, "")


def test_no_name_leaves_a_daemon_that_hides_names(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Everything that it serves and logs is searched for the names that there are."""
    folder = tmp_path / "in"
    (folder / "secretdir").mkdir(parents=True)
    (folder / "secret-a.txt").touch()
    watched = Folder(os.fsencode(folder), str(folder), Selection(("*", "*.txt"), recursive=True), hides_names=True)
    signals = Scripted()
    daemon = Daemon(Settings((watched,), http=HttpSettings(listen=("127.0.0.1:0",))), (), signals=signals)
    served: list[str] = []
    batches: list[bytes] = []

    def script() -> Iterator[set[Command] | None]:
        yield from ticks_until(lambda: not daemon.unready())
        assert daemon._http is not None
        (address,) = daemon._http.addresses
        events = daemon.subscribe(100, lambda: None)
        daemon._engine.flush(10.0)
        (folder / "secretdir" / "secret-b.txt").touch()
        (folder / "secret-a.txt").unlink()
        daemon._engine.flush(10.0)
        batches.extend(change.path for change in events.take().changes)
        paths = ("/", "/metrics", "/api/v1/folders", "/api/v1/metadata", "/api/v1/files", "/-/ready")
        served.extend(fetch(address + path, headers=OPENMETRICS).text for path in paths)
        served.append(str(fetch(f"{address}/api/v1/files?list=newest").status))

    signals.script = script()
    daemon.run()
    assert batches == [b"", b""]
    assert 'fexp_arrivals_total{folder="' in served[1]
    assert served[-1] == "403"
    assert "secret" not in "".join(served)
    assert "secret" not in caplog.text
