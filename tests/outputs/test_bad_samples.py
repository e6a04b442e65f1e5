"""A sample that no format can hold costs itself, and sinks no output."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fexp.metrics import EVERYWHERE, FexpCollector
from fexp.outputs.push.gateway import GatewayOutput, GatewaySettings
from fexp.outputs.push.remote_write import RemoteWriteOutput, RemoteWriteSettings
from fexp.outputs.rendering import KeptCollector
from tests.end_to_end.comparing import pushed, written
from tests.outputs.samples import snapshot_of, textfile_output
from tests.outputs.scripted import ScriptedServer, answer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fexp.model import FolderSnapshot
    from tests.end_to_end.comparing import Series

(GOOD,) = snapshot_of(good=2).folders
(SPOILT,) = snapshot_of(spoilt=3).folders
FLOW = SPOILT.groups[0].flow
assert FLOW is not None
BAD: dict[str, FolderSnapshot] = {
    "a label is no text": SPOILT._replace(labels={"site": "\udcff"}),
    "a value is no number": SPOILT._replace(last_scan_at="yesterday"),  # type: ignore[arg-type]
    "a value is beyond a float": SPOILT._replace(scan_duration_seconds=10**400),
    "a row cannot be read": SPOILT._replace(
        groups=(SPOILT.groups[0]._replace(flow=FLOW._replace(dwell=FLOW.dwell._replace(counts=(1,)))),)
    ),
}


def _textfile(source: FexpCollector, directory: Path) -> Series:
    textfile_output(str(directory / "x.prom")).publish(source)
    return pushed((directory / "x.prom").read_text())


def _push(source: FexpCollector, _: Path) -> Series:
    with ScriptedServer(answer(200)) as server:
        GatewayOutput(GatewaySettings(server.url, instance="h")).publish(source)
        return pushed(server.bodies[0].decode())


def _remote_write(source: FexpCollector, _: Path) -> Series:
    with ScriptedServer(answer(200)) as server:
        RemoteWriteOutput(RemoteWriteSettings(server.url, instance="h")).publish(source)
        return written(server.requests[0].partition(b"\r\n\r\n")[2])


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
@pytest.mark.parametrize("deliver", [_textfile, _push, _remote_write])
@pytest.mark.parametrize("collector", [FexpCollector, KeptCollector])
def test_a_bad_sample_costs_itself_in_every_output(
    collector: type[FexpCollector],
    deliver: Callable[[FexpCollector, Path], Series],
    bad: FolderSnapshot,
    tmp_path: Path,
) -> None:
    """Mistakes 11b, 11c, 11d, 13b."""
    left_out: list[str] = []
    snapshot = snapshot_of()._replace(folders=(bad, GOOD))
    delivered = deliver(collector(lambda: snapshot, EVERYWHERE, lambda name, *_: left_out.append(name)), tmp_path)
    files = {dict(labels)["folder"]: value for (name, labels), value in delivered.items() if name == "fexp_files"}
    assert files["/in/good"] == 2
    assert ("/in/spoilt" in files) is (bad is not BAD["a label is no text"])
    assert "fexp_build_info" in {name for name, _ in delivered}
    assert left_out
    assert all(name.startswith("fexp_") for name in left_out)
