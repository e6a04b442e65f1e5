"""``@fexp.job``."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

import fexp
from fexp.errors import FexpError, SettingsError
from tests.end_to_end.running import samples

if TYPE_CHECKING:
    from pathlib import Path


def numbers(path: Path) -> dict[str, float]:
    return {name: value for (name, labels), value in samples(path.read_text()).items()}


def test_it_reports_as_run_does(tmp_path: Path) -> None:
    textfile, folder = tmp_path / "f.prom", tmp_path / "out"

    @fexp.job("nightly", textfile=textfile, folder=[folder])
    def work(first: int, *, second: int) -> int:
        """Work."""
        assert numbers(textfile)["fexp_job_running"] == 1
        folder.mkdir()
        (folder / "a").write_text("123")
        return first + second

    assert (work.__name__, work.__doc__) == ("work", "Work.")
    assert work(1, second=2) == 3
    found = numbers(textfile)
    assert found["fexp_job_running"] == found["fexp_job_exit_code"] == found["fexp_job_timed_out"] == 0
    assert found["fexp_job_last_success_timestamp_seconds"] == found["fexp_job_end_timestamp_seconds"]
    assert found["fexp_job_max_rss_bytes"] > 1 << 20
    assert (found["fexp_job_produced_files"], found["fexp_job_produced_bytes"]) == (1, 3)
    assert 'job_name="nightly"' in textfile.read_text()


def test_a_subfolder_that_it_makes_counts(tmp_path: Path) -> None:
    textfile, folder = tmp_path / "f.prom", tmp_path / "in"
    folder.mkdir()

    @fexp.job("unpack", textfile=textfile, folder=folder, per_subfolder=True)
    def work() -> None:
        (folder / "acme").mkdir()
        (folder / "acme" / "a").write_text("123")

    work()
    assert f'folder="{folder}/acme"' in textfile.read_text()
    assert numbers(textfile)["fexp_job_produced_bytes"] == 3


@pytest.mark.parametrize(
    ("error", "code"),
    [(ValueError("x"), 1), (KeyboardInterrupt(), 130), (SystemExit(4), 4), (SystemExit("x"), 1), (SystemExit(), 0)],
)
def test_what_it_raises_is_raised_on(error: BaseException, code: int, tmp_path: Path) -> None:
    @fexp.job("fails", textfile=tmp_path / "f.prom")
    def work() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        work()
    assert caught.value is error
    assert numbers(tmp_path / "f.prom")["fexp_job_exit_code"] == code


def test_retries(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tries: list[int] = []

    @fexp.job("retried", textfile=tmp_path / "f.prom", retries=2, retry_delay=0)
    def work() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise OSError("not yet")
        return "done"

    assert work() == "done"
    assert len(tries) == 3
    assert numbers(tmp_path / "f.prom")["fexp_job_exit_code"] == 0
    assert caplog.messages == ["job retried: tried again after an error"] * 2


def test_runs_do_not_overlap(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    calls: list[int] = []

    @fexp.job("inner", textfile=tmp_path / "f.prom")
    def work() -> str:
        calls.append(1)
        assert work() is None
        return "outer"

    assert work() == "outer"
    assert len(calls) == 1
    assert caplog.messages == ["job inner: another run of it is at work; this one is skipped"]


def test_what_cannot_be_delivered_is_logged_and_raises_only_if_strict(caplog: pytest.LogCaptureFixture) -> None:
    @fexp.job("lost", textfile="/nowhere/f.prom")
    def work() -> int:
        return 5

    with caplog.at_level(logging.WARNING, "fexp"):
        assert work() == 5
    assert any("/nowhere/f.prom" in message for message in caplog.messages)
    with pytest.raises(FexpError, match="not all was delivered"):
        fexp.job("lost", textfile="/nowhere/f.prom", strict=True)(lambda: 5)()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"textfle": "x.prom"}, "textfle is no option here; did you mean textfile?"),
        ({"textfile": "x.txt"}, "textfile x.txt: node_exporter reads only"),
        ({"timeout": 5}, "timeout is no option here"),
        ({"settle": "1m"}, "settle is no option here"),
        ({"age_buckets": "1m"}, "age_buckets is no option here"),
        ({"metrics_from": "/"}, "metrics_from / is a directory: name a file in it"),
        ({"retries": "many"}, "retries 'many' is not a whole number"),
        ({"strict": "yes"}, "strict 'yes': give True or False"),
        ({"textfile": 1 == 1}, "textfile True: give text"),
        ({"gateway": "http://h", "gateway_password": "x"}, "gateway_password is no option here"),
    ],
)
def test_a_mistake_is_told_at_once(options: dict[str, object], complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint.replace("?", r"\?")):
        fexp.job("a", **options)


@pytest.mark.parametrize("name", ["", "\udcff"])
def test_a_name_that_no_label_can_hold(name: str) -> None:
    with pytest.raises(SettingsError, match="job"):
        fexp.job(name)


def test_what_only_begins_when_called_is_refused() -> None:
    async def work() -> None: ...

    with pytest.raises(SettingsError, match="only begins"):
        fexp.job("a")(work)


def test_what_there_is_not_is_said() -> None:
    with pytest.raises(AttributeError, match="jbo"):
        fexp.jbo  # type: ignore[attr-defined]  # noqa: B018
