"""``fexp.push`` and ``fexp.write_textfile``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry

import fexp
from tests.outputs.samples import Gauge
from tests.servers import Server, free_port, promtool

if TYPE_CHECKING:
    from pathlib import Path


def registry_of(collector: fexp.FolderCollector) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(Gauge("requests", {(): 1.0}))
    registry.register(collector)
    return registry


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("123")
    return tmp_path / "data"


def test_a_textfile_is_that_of_the_command_line(folder: Path, tmp_path: Path) -> None:
    fexp.write_textfile(tmp_path / "a.prom", folder, ext="csv", label={"team": "a"})
    text = (tmp_path / "a.prom").read_text()
    assert f'fexp_files{{folder="{folder}",pattern="*.csv",team="a"}} 1.0' in text
    assert "fexp_arrivals_total" not in text
    assert promtool("check", "metrics", input_text=text).returncode == 0


def test_a_textfile_of_a_registry_holds_nothing_that_another_would_hold_too(folder: Path, tmp_path: Path) -> None:
    with fexp.FolderCollector(folder, ext="csv") as collector:
        fexp.write_textfile(tmp_path / "a.prom", registry_of(collector))
        fexp.write_textfile(tmp_path / "b.prom", collector)
    both = [(tmp_path / name).read_text() for name in ("a.prom", "b.prom")]
    for text in both:
        assert f'fexp_arrivals_total{{folder="{folder}",pattern="*.csv"}} 0.0' in text
        assert "fexp_build_info" not in text
    assert "requests 1.0" in both[0]


def test_a_group_is_pushed(folder: Path, pushgateway: Server) -> None:
    fexp.push(folder, gateway=pushgateway.url, job="batch", instance="here", grouping={"zone": "a=b"}, ext=["csv"])
    assert f'fexp_files{{folder="{folder}",instance="here",job="batch",pattern="*.csv",zone="a=b"}} 1' in (
        pushgateway.get("/metrics").text
    )
    with fexp.FolderCollector(folder, ext="csv") as collector:
        fexp.push(registry_of(collector), gateway=pushgateway.url, job="other", instance="here")
    text = pushgateway.get("/metrics").text
    assert 'requests{instance="here",job="other"} 1' in text
    assert 'fexp_arrivals_total{folder="' in text


def test_what_fails_is_raised_in_one_line(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(fexp.FexpError, match="Connection refused"):
        fexp.push(folder, gateway=f"http://127.0.0.1:{free_port()}", gateway_deadline=0.1)
    with pytest.raises(fexp.SettingsError, match="textfile .*only names that end in .prom".replace(".", r".")):
        fexp.write_textfile(tmp_path / "a.txt", folder)
    with pytest.raises(fexp.SettingsError, match=r"gateway ftp://x: must begin with http"):
        fexp.push(folder, gateway="ftp://x")
    with pytest.raises(fexp.FexpError, match="nowhere: No such file"):
        fexp.write_textfile(tmp_path / "a.prom", [folder, tmp_path / "nowhere"])
    assert str(folder) in (tmp_path / "a.prom").read_text()  # what could be read


def test_a_collector_knows_already_what_counts(folder: Path, tmp_path: Path) -> None:
    collector = fexp.FolderCollector(folder)
    with pytest.raises(fexp.SettingsError, match="ext is no option here"):
        fexp.write_textfile(tmp_path / "a.prom", collector, ext="csv")
    with pytest.raises(fexp.SettingsError, match="ext: a collector knows what counts"):
        fexp.wsgi_app(collector, ext="csv")
