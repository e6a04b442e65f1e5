"""Groups of files, as their users ask for them: the same from every command and in every output."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import pytest

from fexp.config.selection import SelectionSettings
from fexp.errors import SettingsError
from tests.end_to_end.running import run, samples, watching
from tests.servers import Server, poll, promtool

if TYPE_CHECKING:
    from pathlib import Path

    Series = dict[tuple[str, frozenset[tuple[str, str]]], float]

WISHES = (
    "--by-ext", "--top", "1", "--compound-ext", "csv.gz", "--group", "^(?P<partner>[A-Z]+)_", "--max-groups", "2",
    "--group-folder", "inbox/(?P<customer>[^/]+)", "--per-file", "--max-series", "2",
)  # fmt: skip


def state_series(text: str) -> Series:
    """Return what a fresh look at the disk shows too, without groups that have no files and what moves."""
    kept = (
        "fexp_files",
        "fexp_size_bytes",
        "fexp_largest_file_bytes",
        "fexp_single_file_size_bytes",
        "fexp_series_dropped",
    )
    return {
        (name, frozenset(label for label in labels if label[0] not in {"job", "instance"})): value
        for (name, labels), value in samples(text).items()
        if name in kept and (value or name == "fexp_series_dropped")
    }


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox" / "acme"
    folder.mkdir(parents=True)
    for age, name in enumerate(["B_1.csv", "A_1.csv.gz", "A_2.csv.gz", "B_2.csv.gz", "C_1.xml", "nobody"]):
        (folder / name).write_text(name)
        os.utime(folder / name, (1e9 - age, 1e9 - age))
    return folder


def test_every_command_and_output(inbox: Path, tmp_path: Path, pushgateway: Server) -> None:
    scanned = run("scan", str(inbox), *WISHES, "--format", "prom")
    expected = state_series(scanned.stdout)
    own = {("folder", str(inbox)), ("customer", "acme")}
    files = {labels - own: value for (name, labels), value in expected.items() if name == "fexp_files"}
    assert files == {
        frozenset({("pattern", "*.csv.gz"), ("partner", "A")}): 2,
        frozenset({("pattern", "*.csv.gz"), ("partner", "B")}): 1,
        frozenset({("pattern", "other"), ("partner", "B")}): 1,
        frozenset({("pattern", "other"), ("partner", "other")}): 2,
    }
    single = {labels - own for name, labels in expected if name == "fexp_single_file_size_bytes"}
    other = {("pattern", "other"), ("partner", "other")}
    assert single == {frozenset({("file", "nobody"), *other}), frozenset({("file", "C_1.xml"), *other})}
    assert expected["fexp_series_dropped", frozenset(own)] == 2 + 1 + 4, "extensions, partners, files"

    textfile = tmp_path / "fexp.prom"
    run("write", str(inbox), *WISHES, "--textfile", str(textfile))
    assert state_series(textfile.read_text()) == expected
    run("push", str(inbox), *WISHES, "--gateway", pushgateway.url)
    assert state_series(pushgateway.get("/metrics").text) == expected
    with watching(str(inbox), *WISHES) as fexp:
        fexp.wait_until_ready()
        assert state_series(fexp.get("/metrics").text) == expected
        for number in range(3):
            (inbox / f"C_{number}.txt").write_text("more")
        changed = state_series(run("scan", str(inbox), *WISHES, "--format", "prom").stdout)
        assert changed != expected
        poll(lambda: state_series(fexp.get("/metrics").text) == changed)
        text = fexp.get("/metrics").text
        checked = promtool("check", "metrics", input_text=text)
        assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
        (document,) = json.loads(fexp.get("/api/v1/folders").text)["folders"]
        assert sum(group["files"] for group in document["patterns"]) == 9
        assert [file["file"] for file in document["files"]] == ["nobody", "C_1.xml"]
        assert "partner=C" in fexp.get("/").text


def test_for_people(inbox: Path) -> None:
    printed = run("scan", str(inbox), "--by-ext", "--group", "^(?P<partner>[A-Z])_", "--format", "table").stdout
    titles = [line.split("  ")[1] for line in printed.splitlines()[1:]]
    assert titles[0] == "*.gz, partner=A"
    assert titles[-2] == "other, partner=other"  # the total follows
    found = json.loads(run("scan", str(inbox), "--per-file", "--max-series", "1", "--format", "json").stdout)
    (folder,) = found["folders"]
    assert [file["file"] for file in folder["files"]] == ["nobody"]
    assert folder["series_dropped"] == 5


def test_a_job_tells_its_groups_apart(inbox: Path, tmp_path: Path) -> None:
    textfile = tmp_path / "job.prom"
    ended = run(
        "run", "--job", "eat", "--folder", str(inbox), "--group", "^(?P<partner>[A-Z])_", "--textfile", str(textfile),
        "--", "rm", str(inbox / "A_1.csv.gz"), str(inbox / "nobody"),
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    consumed = {
        dict(labels)["partner"]: value
        for (name, labels), value in samples(textfile.read_text()).items()
        if name == "fexp_job_consumed_files"
    }
    assert consumed == {"A": 1, "B": 0, "C": 0, "other": 1}


def test_a_regex_needs_one_more_package(monkeypatch: pytest.MonkeyPatch) -> None:
    from fexp.config.groups import parse_group
    from fexp.counting.regex import label_names

    label_names.cache_clear()
    monkeypatch.setitem(sys.modules, "re2", None)
    with pytest.raises(SettingsError, match=r"^--group needs one more package: pip install google-re2$"):
        parse_group("--group", "(?P<never_tried_before>x)")


def test_a_folder_without_its_group_has_the_label_too() -> None:
    settings = SelectionSettings(labels={"team": "a"}, folder_regex="inbox/(?P<customer>[^/]+)(?P<rest>.*)")
    assert settings.labels_of(b"/data/inbox/acme") == {"team": "a", "customer": "acme"}
    assert settings.labels_of(b"/data/inbox/\xff") == {"team": "a", "customer": r"\xff"}
    assert settings.labels_of(b"/data/out") == {"team": "a", "customer": "other", "rest": "other"}
