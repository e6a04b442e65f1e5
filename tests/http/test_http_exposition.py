"""One bad value costs itself, never the scrape; no label value can forge a line."""

from __future__ import annotations

import logging
import subprocess
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from fexp.model import FolderSnapshot, Snapshot
from fexp.outputs.formats import Format
from fexp.outputs.http.exposition import Exposition
from tests.http.serving import MemoryServed, ask, make_folder, running
from tests.servers import poll, program, running_prometheus

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server

LOG = logging.getLogger("fexp.test.exposition")


def render(*folders: FolderSnapshot, form: Format = Format.TEXT) -> str:
    return Exposition(lambda: Snapshot(folders), LOG).render(form).decode()


@pytest.mark.parametrize("form", Format)
def test_a_label_that_is_not_text_costs_its_own_series(form: Format, caplog: pytest.LogCaptureFixture) -> None:
    exposition = Exposition(lambda: Snapshot((make_folder("/\udcff"), make_folder("/good"))), LOG)
    first, second = exposition.render(form).decode(), exposition.render(form).decode()
    assert 'fexp_files{folder="/good"' in first
    assert 'fexp_dwell_seconds_bucket{folder="/good"' in first
    assert "process_open_fds" in first
    counts = [float(text.split("\nfexp_unrendered_samples_total ")[1].split("\n")[0]) for text in (first, second)]
    assert 0 < counts[0] < counts[1]
    named = [record.getMessage() for record in caplog.records if "of fexp_files does" in record.getMessage()]
    assert len(named) == 1  # once, not with every scrape


FORGED = '/x"} 1\nfexp_files{folder="/forged",pattern="*"} 99\n# EOF\n# HELP fexp_files forged'


@pytest.mark.parametrize("form", Format)
def test_a_label_cannot_forge_lines(form: Format) -> None:
    parse = parse_openmetrics if form is Format.OPENMETRICS else parse_text
    text = render(make_folder(FORGED, '"\\\n'), form=form)
    (family,) = (family for family in parse(text) if family.name == "fexp_files")
    (sample,) = family.samples
    assert sample.labels["folder"] == FORGED
    assert sample.labels["pattern"] == '"\\\n'
    assert sample.value == 3


@settings(max_examples=50)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_every_name_comes_back_as_it_was(name: str) -> None:
    text = render(make_folder("/" + name))
    (family,) = (family for family in parse_text(text) if family.name == "fexp_files")
    assert family.samples[0].labels["folder"] == "/" + name


def test_the_scrape_goes_on_over_http() -> None:
    """Mistake 11a."""
    with running(MemoryServed(folders=(make_folder("/\udcff"), make_folder("/good")))) as server:
        for accept in ("text/plain", "application/openmetrics-text"):
            reply = ask(server, "/metrics", headers={"Accept": accept})
            assert reply.status == 200
            assert 'fexp_files{folder="/good"' in reply.text
        for path in ("/", "/api/v1/folders", "/api/v1/metadata", "/-/ready"):
            assert ask(server, path).status == 200


def test_one_failing_folder_does_not_take_the_others_along() -> None:
    """Mistake 13a."""
    broken = make_folder("/broken")._replace(scans={"start": "many"})  # type: ignore[dict-item]
    text = render(broken, make_folder("/fine"))
    assert 'fexp_scans_total{folder="/fine"' in text
    assert 'fexp_files{folder="/broken"' in text


def test_a_real_prometheus_and_curl_read_what_was_compressed_in_pieces(tmp_path: Path) -> None:
    served = MemoryServed(folders=tuple(make_folder(f'/in "{n}"\n\\', files=n) for n in range(150)))
    with running(served) as server:
        port = urlsplit(server.addresses[0]).port
        target = f"static_configs: [{{targets: ['127.0.0.1:{port}']}}]"
        config = f"scrape_configs: [{{job_name: f, scrape_interval: 200ms, scrape_timeout: 200ms, {target}}}]\n"
        with running_prometheus(tmp_path / "prometheus", config=config) as prometheus:
            poll(lambda: _value(prometheus, "count(fexp_files)") == 150)
            assert _value(prometheus, "sum(fexp_files)") == sum(range(150))
            served.folders = (*served.folders[:70], make_folder("/changed", files=1_000_000), *served.folders[100:])
            poll(lambda: _value(prometheus, 'fexp_files{folder="/changed"}') == 1_000_000)
            poll(lambda: _value(prometheus, "count(fexp_files)") == 121)
        curl = [program("curl"), "--silent", "--fail", f"{server.addresses[0]}/metrics?name[]=fexp_files", "--globoff"]
        plain, compressed = (
            subprocess.run([*curl, *more], check=True, capture_output=True).stdout for more in ([], ["--compressed"])
        )
        assert plain == compressed
        assert plain.count(b"\nfexp_files{") == 121


def _value(prometheus: Server, expression: str) -> float | None:
    found = prometheus.query(expression)
    return float(found[0]["value"][1]) if found else None
