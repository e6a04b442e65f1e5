"""What cannot be rendered is left out, and whoever reads the log or the command's last line knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fexp.config.settings import Settings
from fexp.errors import FexpError
from fexp.outputs.textfile import TextfileSettings
from fexp.service import delivery
from fexp.service.daemon import Daemon
from tests.daemons import Scripted, daemon_of, folder_of, ticks_until
from tests.outputs.samples import snapshot_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.daemons import Script

GOOD = snapshot_of(good=2)
BAD = GOOD._replace(folders=(GOOD.folders[0]._replace(last_scan_at="yesterday"),))  # type: ignore[arg-type]
LEFT_OUT = "fexp_last_scan_timestamp_seconds"


def test_the_daemon_logs_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Daemon, "snapshot", lambda _: BAD)
    targets = [tmp_path / "a.prom", tmp_path / "b.prom"]
    scripted = Scripted()
    outputs = tuple(TextfileSettings(str(target)) for target in targets)
    daemon = daemon_of(folder_of(tmp_path / "data"), outputs=outputs, signals=scripted)

    def script() -> Script:
        yield from ticks_until(lambda: all(target.exists() for target in targets))

    scripted.script = script()
    daemon.run()
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 1
    assert LEFT_OUT in errors[0]


def test_a_one_shot_fails_with_it_and_delivers_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "look_at_all", lambda *_: (BAD, []))
    target = tmp_path / "x.prom"
    settings = Settings(folders=(folder_of(tmp_path),), outputs=(TextfileSettings(str(target)),))
    with pytest.raises(FexpError, match=LEFT_OUT):
        delivery.deliver(settings)
    assert "fexp_files" in target.read_text()
