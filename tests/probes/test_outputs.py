"""What probes yield is in every output, and rendered once a change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fexp
from fexp.metrics import EVERYWHERE, TEXTFILE_SCOPES, FexpCollector, Scope
from fexp.model import ProbeSnapshot, Snapshot
from fexp.outputs.formats import Format
from fexp.outputs.pieces import join
from fexp.outputs.rendering import KeptCollector
from tests.outputs.samples import snapshot_of
from tests.probes.running import running

if TYPE_CHECKING:
    import pytest

G = fexp.gauge("things", "Things.", labels=("kind",))
I = fexp.info("fact", "A fact.", labels=("version",))  # noqa: E741  # short for info
S = fexp.state_set("phase", "Phases.", states=("a", "b"))


@fexp.probe(metrics=[G, I, S])
def everything() -> list[fexp.Sample]:
    return [G(1, kind='qu"ote\n'), I(version="1"), S("b")]


def _snapshot() -> Snapshot:
    with running(everything) as live:
        live.probes.refresh()
        return live.probes.shown_in(snapshot_of(good=1))


def test_all_ways_of_rendering_agree() -> None:
    snapshot = _snapshot()
    for form in Format:
        for scopes in (EVERYWHERE, TEXTFILE_SCOPES):
            plain = FexpCollector(lambda: snapshot, scopes)
            kept = KeptCollector(lambda: snapshot, scopes)
            text = join(kept.render(form))
            assert sorted(text.splitlines()) == sorted((form.render(plain) + form.end).splitlines())
            assert b'phase{phase="b",probe="everything"} 1.0' in text
            assert b'fexp_probe_success{probe="everything"} 1.0' in text
    by_folder = [family.name for _, families in plain.by_folder() for family in families]
    assert {"things", "fact", "phase", "fexp_probe_success"} <= set(by_folder)


def test_an_output_that_shows_no_probes_shows_none_of_theirs() -> None:
    snapshot = _snapshot()
    kept = KeptCollector(lambda: snapshot, {Scope.STATE})
    assert b"probe" not in join(kept.render(Format.TEXT))
    assert b"things" not in join(KeptCollector(lambda: snapshot).render(Format.TEXT, names={"phase"}))


def test_a_family_is_rendered_once_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    rendered: list[str] = []
    render = Format.render

    def counting(form: Format, source: FexpCollector) -> bytes:
        families = list(source.collect())
        rendered.extend(family.name for family in families)
        return render(form, source)

    snapshot = _snapshot()
    kept = KeptCollector(lambda: snapshot, {Scope.PROBE})
    kept.render(Format.TEXT)
    monkeypatch.setattr(Format, "render", counting)
    kept.render(Format.TEXT)
    assert not {"things", "fact", "phase"} & set(rendered)


def test_without_probes_there_is_nothing_of_them() -> None:
    assert Snapshot(()).probes == Snapshot(()).families == ()
    assert ProbeSnapshot("p", None, None, None).runs is None
