"""Files that arrive, as whoever runs a landing zone has them: an upload, its stall, its end."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.end_to_end.running import run, samples, watching
from tests.servers import poll

if TYPE_CHECKING:
    from pathlib import Path

_OPTIONS = ("--ext", "csv", "--settle", "0.5s", "--stall-after", "0.6s", "--count", "settled", "--disk-usage")
_SHOWN = (
    "fexp_files", "fexp_unsettled_files", "fexp_stalled_files", "fexp_arrivals_total", "fexp_disk_usage_bytes",
)  # fmt: skip


def numbers(text: str) -> tuple[float | None, ...]:
    values = {name: value for (name, _), value in samples(text).items()}
    return tuple(values.get(name) for name in _SHOWN)


def test_an_upload_that_stalls_and_one_that_settles(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    with watching(str(inbox), *_OPTIONS, "--listen", "127.0.0.1:0") as fexp:

        def shown() -> tuple[float | None, ...]:
            return numbers(fexp.get("/metrics").text)

        assert shown() == (0, 0, 0, 0, 0)
        (inbox / "orders.csv.part").write_text("half")
        poll(lambda: shown() == (0, 0, 1, 0, 0))
        one_shot = run("scan", str(inbox), *_OPTIONS, "--format", "prom")
        assert numbers(one_shot.stdout) == (0, 0, 1, None, 0)
        (inbox / "orders.csv.part").rename(inbox / "orders.csv")
        poll(lambda: shown()[:4] == (1, 0, 0, 1))
        used_bytes = os.stat(inbox / "orders.csv").st_blocks * 512
        assert shown() == (1, 0, 0, 1, used_bytes)
        folders = fexp.get("/api/v1/folders").json()["folders"]
        assert folders[0]["directories"] == 1
        assert folders[0]["patterns"][0]["unsettled_files"] == 0
        one_shot = run("scan", str(inbox), *_OPTIONS, "--format", "prom")
        assert numbers(one_shot.stdout) == (1, 0, 0, None, used_bytes)
