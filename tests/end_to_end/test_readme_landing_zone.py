"""The README's landing zone, from its own config file: only paths, the address and the waiting times are replaced."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.running import samples, watching
from tests.servers import poll
from tests.test_readme import README

if TYPE_CHECKING:
    from pathlib import Path

(CONFIG,) = re.findall(r"^```yaml\n(folders:\n.*?)^```$", README.read_text(), re.DOTALL | re.MULTILINE)


def adapted(path: Path) -> str:
    words = {
        " /data/": f" {path}/data/",
        '":9877"': "127.0.0.1:0",
        "/var/lib/prometheus/node-exporter": f"{path}/textfiles",
        "settle: 1m ": "settle: 300ms ",
        "stall_after: 15m ": "stall_after: 400ms ",
        "Europe/Berlin": "UTC",
    }
    text: str = CONFIG
    for old, new in words.items():
        assert old in text, f"the README no longer says {old}"
        text = text.replace(old, new)
    return text


@pytest.mark.slow
def test_a_landing_zone_with_a_new_customer_every_week(tmp_path: Path) -> None:
    inbox = tmp_path / "data" / "inbox"
    for path in (inbox / "acme", tmp_path / "data" / "work" / "error", tmp_path / "textfiles"):
        path.mkdir(parents=True)
    (tmp_path / "fexp.yml").write_text(adapted(tmp_path))
    with watching("--config", str(tmp_path / "fexp.yml")) as fexp:

        def by_customer(name: str, pattern: str = "*.csv") -> dict[str, float]:
            found = (
                (dict(labels), value)
                for (_, labels), value in samples(fexp.get(f"/metrics?name[]={name}").text).items()
            )
            return {
                labels["customer"]: value
                for labels, value in found
                if (labels["zone"], labels["pattern"]) == ("inbox", pattern)
            }

        assert by_customer("fexp_files") == by_customer("fexp_files", "*.xml") == {"acme": 0}
        part = inbox / "acme" / "orders_20261121.csv.part"
        part.write_text("half")
        poll(lambda: by_customer("fexp_stalled_files") == {"acme": 1})
        (inbox / "bmw").mkdir()
        (inbox / "bmw" / "orders_20261121.csv").write_text("whole")
        assert by_customer("fexp_arrivals_total")["acme"] == 0
        part.rename(inbox / "acme" / "orders_20261121.csv")
        poll(lambda: by_customer("fexp_files") == {"acme": 1, "bmw": 1})
        assert by_customer("fexp_stalled_files") == {"acme": 0, "bmw": 0}
        assert by_customer("fexp_arrivals_total")["acme"] == 1

        (tmp_path / "data" / "work" / "error" / "broken.csv").touch()
        (tmp_path / "data" / "archive" / f"{datetime.now(UTC):%Y/%m/%d}").mkdir(parents=True)
        poll(lambda: fexp.value("fexp_files", zone="error") == 1)
        poll(lambda: fexp.value("fexp_folder_up", zone="archive") == 1)
        textfile = tmp_path / "textfiles" / "fexp.prom"
        poll(lambda: textfile.exists() and 'customer="bmw"' in textfile.read_text())
