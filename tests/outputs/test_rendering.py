"""What is rendered by change is what prometheus_client makes of the whole, byte for byte."""

from __future__ import annotations

import gc
import gzip
import subprocess
import threading
import weakref
from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from fexp.engine import parts
from fexp.metrics import EVERYWHERE, TEXTFILE_SCOPES, FexpCollector
from fexp.model import (
    Backend,
    DeliverySnapshot,
    Example,
    FlowSnapshot,
    FolderSnapshot,
    GroupSnapshot,
    Histogram,
    Reason,
    ReloadSnapshot,
    Snapshot,
)
from fexp.outputs import rendering
from fexp.outputs.formats import Families, Format, Labelled
from fexp.outputs.pieces import Piece, join, join_gzip
from fexp.outputs.push.reading import Reader
from fexp.outputs.rendering import KeptCollector, Renderers
from tests.outputs.samples import FLOW, snapshot_of
from tests.servers import promtool
from tests.snapshots import group_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from prometheus_client.metrics_core import Metric

    from fexp.metrics import Scope


def parted(folder: FolderSnapshot, before: FolderSnapshot | None = None) -> FolderSnapshot:
    """As the engine gives it."""
    return folder._replace(parts=parts.parts_of(folder._replace(parts=()), before.parts if before else ()))


NAMES = st.text(st.sampled_from('a/"\\\n\r {}=,#ü☃\u2028é') | st.characters(exclude_categories=["Cs"]), max_size=12)
TRICKY = "\n# HELP fexp_size_bytes Sum of the sizes of the matching files.\n# TYPE fexp_size_bytes gauge\n# EOF\n"
NUMBERS = st.integers(0, 2**70) | st.floats(allow_nan=True) | st.booleans()
EXAMPLES = st.none() | st.builds(Example, st.binary(max_size=200), st.floats(0, 1e9), st.floats(0, 2e9))
FLOWS = st.builds(
    FlowSnapshot,
    *[st.integers(0, 2**60)] * 5,
    *[st.none() | st.floats(0, 2e9)] * 2,
    st.builds(Histogram, st.just((1.0, 2.5)), st.tuples(*[st.integers(0, 99)] * 3), st.floats(0, 1e9)),
    arrival_example=EXAMPLES,
    dwell_examples=st.just(()) | st.tuples(*[EXAMPLES] * 3),
)
HISTOGRAMS = st.builds(Histogram, st.just((0.0, 60.0)), st.tuples(*[st.integers(0, 99)] * 3), st.floats(-1e9, 1e9))
GROUPS: st.SearchStrategy[GroupSnapshot] = st.builds(
    lambda pattern, flow, values, distributions: group_of(pattern, flow)._replace(
        values={**group_of("").values, **values}, distributions=distributions
    ),
    NAMES | st.just(TRICKY),
    st.none() | FLOWS,
    st.dictionaries(st.sampled_from(sorted(group_of("").values)), st.none() | NUMBERS, max_size=4),
    st.dictionaries(st.sampled_from(["file_age_seconds", "file_size_bytes"]), HISTOGRAMS),
)
FOLDERS: st.SearchStrategy[FolderSnapshot] = st.builds(
    lambda **fields: parted(FolderSnapshot(**fields)),
    folder=NAMES | st.just(TRICKY),
    labels=st.dictionaries(st.sampled_from(["site", "team"]), NAMES, max_size=2),
    up=st.booleans(),
    recursive=st.booleans(),
    groups=st.lists(GROUPS, max_size=3).map(tuple),
    backend=st.none() | st.sampled_from(Backend),
    scans=st.dictionaries(st.sampled_from(Reason), st.integers(0, 9), max_size=2),
    scan_duration_seconds=st.none() | NUMBERS,
    last_scan_at=st.none() | st.floats(0, 2e9),
    overflows=st.integers(0, 5),
    looked=st.booleans(),
)
BAD = FolderSnapshot("/bad\udcff", {}, up=True, recursive=False, groups=(group_of("*", FLOW, files=1),))
UNREADABLE = BAD._replace(
    folder="/unreadable",
    scan_duration_seconds=10**400,
    last_scan_at="yesterday",  # type: ignore[arg-type]
    scans={Reason.START: "many"},  # type: ignore[dict-item]
)
UNREADABLE_ROW = BAD._replace(
    folder="/row", groups=(group_of("*", FLOW._replace(dwell=FLOW.dwell._replace(counts=(1,)))),)
)
SPOILED = (BAD, UNREADABLE, UNREADABLE_ROW)
SELF = Snapshot(
    (), (DeliverySnapshot("textfile", 7, 1, 1.7e9, 0.01),), ReloadSnapshot(successful=True, succeeded_at=1.7e9)
)
CHOICES: tuple[frozenset[str], ...] = (
    frozenset(),
    frozenset({"fexp_files"}),
    frozenset({"fexp_arrivals", "fexp_dwell_seconds_sum", "fexp_build_info"}),
    frozenset({"fexp_deliveries_total", "fexp_scans_total"}),
    frozenset({"fexp_file_age_seconds_gcount"}),
    frozenset({"nothing"}),
)

# What a step does to the folders: one is exchanged or has other groups, comes, goes, or all change their places.
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["exchange", "regroup", "insert", "remove", "reverse", "nothing"]), st.integers(0, 99), FOLDERS
    ),
    max_size=6,
)


class _Chosen:
    """The families that are asked for."""

    def __init__(self, source: FexpCollector, names: Collection[str]) -> None:
        self._source = source
        self._names = names

    def collect(self) -> Iterator[Metric]:
        for family in self._source.collect():
            shown = {family.name, *(sample.name for sample in family.samples)}
            if not self._names or shown & set(self._names):
                yield family


def whole(
    form: Format,
    snapshot: Snapshot,
    scopes: Collection[Scope] = EVERYWHERE,
    names: Collection[str] = (),
    labels: Mapping[str, str] | None = None,
) -> bytes:
    """Return what prometheus_client makes of all families at once."""
    source = Labelled(_Chosen(FexpCollector(lambda: snapshot, scopes), names), labels or {})
    if form is Format.TEXT:
        return generate_latest(Families(one for family in source.collect() for one in form.families(family)))
    text: bytes = generate_openmetrics(source)  # type: ignore[no-untyped-call]
    return text


def apply(folders: list[FolderSnapshot], what: str, place: int, folder: FolderSnapshot) -> None:
    if what == "insert":
        folders.insert(place % (len(folders) + 1), folder)
    elif what == "reverse":
        folders.reverse()
    elif folders and what == "exchange":
        folders[place % len(folders)] = folder
    elif folders and what == "regroup":
        before = folders[place % len(folders)]
        if before in SPOILED:  # of a group that cannot be read, the others of its folder have parts that can
            return
        kept = before.groups[place % 2 :]
        groups = (*folder.groups, *kept) if place % 3 else (*kept, *folder.groups)
        folders[place % len(folders)] = parted(before._replace(groups=groups), before)
    elif folders and what == "remove":
        del folders[place % len(folders)]


@pytest.mark.parametrize("form", Format)
@settings(max_examples=12)
@given(folders=st.lists(FOLDERS, max_size=5), changes=CHANGES)
def test_pieces_joined_are_what_prometheus_client_makes_of_the_whole(
    form: Format, folders: list[FolderSnapshot], changes: list[tuple[str, int, FolderSnapshot]]
) -> None:
    folders = [*folders, *SPOILED]
    now = SELF
    renderers = Renderers()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rendering, "_CHUNK_FOLDERS", 2)
        patch.setattr(parts, "_GROUPS_MIN", 2)
        for what, place, folder in [("nothing", 0, BAD), *changes]:
            apply(folders, what, place, folder)
            now = SELF._replace(folders=tuple(folders))
            for names in CHOICES:
                pieces = KeptCollector(lambda: now, renderers=renderers).render(form, names=names)  # noqa: B023
                assert join(pieces) == whole(form, now, names=names)
                assert gzip.decompress(join_gzip(pieces)) == join(pieces)
            labels = {"job": 'n"\n\\', "instance": "host"}
            mine = KeptCollector(lambda: now, TEXTFILE_SCOPES, renderers=renderers)  # noqa: B023
            assert join(mine.render(form)) == whole(form, now, TEXTFILE_SCOPES)
            assert join(mine.render(form, labels=labels)) == whole(form, now, TEXTFILE_SCOPES, labels=labels)


@pytest.mark.parametrize("form", Format)
def test_what_is_left_out_is_reported_at_every_rendering(form: Format) -> None:
    folders = (*SPOILED, *snapshot_of(good=1).folders)
    plain: list[tuple[str, int]] = []
    kept: list[tuple[str, int]] = []
    collector = KeptCollector(lambda: Snapshot(folders), left_out=lambda name, _, samples: kept.append((name, samples)))
    for _ in range(2):
        plain.clear()
        kept.clear()
        source = FexpCollector(
            lambda: Snapshot(folders), left_out=lambda name, _, samples: plain.append((name, samples))
        )
        form.render(source)
        collector.render(form)
        assert plain
        assert sorted(kept) == sorted(plain)


def test_only_what_changed_is_rendered_and_compressed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    folders = list(snapshot_of(**{f"f{number}": number for number in range(130)}).folders)
    collector = KeptCollector(lambda: Snapshot(tuple(folders)))
    before = collector.render(Format.TEXT)
    join_gzip(before)
    rendered: list[FolderSnapshot] = []
    families: list[str] = []
    lines, form = rendering.Renderer._rendered, Format.render

    def counted(renderer: rendering.Renderer, folder: FolderSnapshot, known: rendering._Known) -> rendering._Run:
        rendered.append(folder)
        return lines(renderer, folder, known)

    def named(one: Format, source: Families) -> bytes:
        families.extend(family.name for family in source.collect())
        return form(one, source)

    monkeypatch.setattr(rendering.Renderer, "_rendered", counted)
    monkeypatch.setattr(Format, "render", named)
    assert {id(piece) for piece in collector.render(Format.TEXT)[:-2]} <= {id(piece) for piece in before}
    assert not rendered
    (group,) = folders[70].groups
    folders[70] = folders[70]._replace(groups=(group._replace(values={**group.values, "files": 1_000}),))
    families.clear()
    after = collector.render(Format.TEXT)
    assert rendered == [folders[70]]
    assert families == ["fexp_files", "fexp_build_info"]
    fresh = [piece.text for piece in after if "deflated" not in vars(piece)]
    assert [text.partition(b"{")[0] for text in fresh if b"/in/f" in text] == [b"fexp_files"]  # the only other number
    rendered.clear()
    folders.insert(0, *snapshot_of(new=1).folders)
    del folders[100]
    assert join(collector.render(Format.TEXT)) == whole(Format.TEXT, Snapshot(tuple(folders)))
    assert rendered == folders[:1]  # that the others have other places costs no rendering


def test_of_a_folder_with_many_groups_only_those_that_changed_are_rendered_and_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (folder,) = snapshot_of(a=1).folders
    folder = parted(folder._replace(groups=tuple(group_of(f"*.{number}", FLOW, files=number) for number in range(99))))
    collector, reader = KeptCollector(lambda: Snapshot((folder,))), Reader({})
    collector.render(Format.TEXT)
    reader.read(collector, 1)
    rendered: list[FolderSnapshot] = []
    lines = rendering.Renderer._rendered

    def counted(renderer: rendering.Renderer, part: FolderSnapshot, known: rendering._Known) -> rendering._Run:
        rendered.append(part)
        return lines(renderer, part, known)

    monkeypatch.setattr(rendering.Renderer, "_rendered", counted)
    groups = list(folder.groups)
    groups[0], groups[70] = group_of("*.0", FLOW, files=3), group_of("*.70", FLOW, files=5)
    folder = parted(folder._replace(groups=tuple(groups)), folder)
    assert join(collector.render(Format.TEXT)) == whole(Format.TEXT, Snapshot((folder,)))
    assert [part.name for part in rendered] == [("/in/a", (("pattern", f"*.{number}"),)) for number in (0, 70)]
    assert len(reader.read(collector, 2).begun) == 2
    folder = parted(folder._replace(drift_files=7), folder)
    rendered.clear()
    assert join(collector.render(Format.TEXT)) == whole(Format.TEXT, Snapshot((folder,)))
    assert len(rendered) == 1


class _Backed(dict[str, str]):
    """Labels that can be watched going."""


def test_nothing_is_kept_of_folders_that_ended() -> None:
    labels = _Backed(site="north")
    gone = weakref.ref(labels)
    (folder,) = snapshot_of(a=1).folders
    folders: tuple[FolderSnapshot, ...] = (folder._replace(labels=labels), folder)
    collector = KeptCollector(lambda: Snapshot(folders))
    assert b"north" in join(collector.render(Format.TEXT))
    folders = (folder,)
    del labels
    assert b"north" not in join(collector.render(Format.TEXT))
    gc.collect()
    assert gone() is None


def test_a_format_that_nobody_asks_for_any_more_is_forgotten() -> None:
    now = 0.0
    renderers = Renderers(clock=lambda: now)
    text, openmetrics = (renderers.get(form, {}) for form in Format)
    now = 800.0
    assert renderers.get(Format.TEXT, {}) is text
    now = 1000.0
    assert renderers.get(Format.TEXT, {}) is text
    assert renderers.get(Format.OPENMETRICS, {}) is not openmetrics


@pytest.mark.parametrize("form", Format)
def test_readers_in_several_threads_get_whole_texts(form: Format, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "_CHUNK_FOLDERS", 4)
    old, new = (snapshot_of(**{f"f{place}": number for place in range(24)}).folders for number in (1, 2))
    snapshots = [Snapshot((*new[: 3 * step], *old[3 * step + step % 3 :])) for step in range(8)]
    expected = [(snapshot, whole(form, snapshot)) for snapshot in snapshots]
    renderers = Renderers()
    wrong: list[int] = []

    def read(seed: int) -> None:
        for turn in range(16):
            snapshot, text = expected[(seed + turn) % len(expected)]
            pieces = KeptCollector(lambda: snapshot, renderers=renderers).render(form)  # noqa: B023
            if join(pieces) != text or gzip.decompress(join_gzip(pieces)) != text:
                wrong.append(seed)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_the_compressed_whole_is_one_member_that_gzip_takes() -> None:
    pieces = KeptCollector(lambda: snapshot_of(**{f"f{n}": n for n in range(100)})).render(Format.TEXT)
    for compressed in (join_gzip(pieces), join_gzip([]), join_gzip([Piece(b""), Piece(b"x")])):
        subprocess.run(["gzip", "-t"], input=compressed, check=True)
        assert compressed.count(b"\x1f\x8b\x08\x00") == 1
    unpacked = subprocess.run(["gzip", "-dc"], input=join_gzip(pieces), check=True, capture_output=True).stdout
    assert unpacked == join(pieces)


def test_promtool_has_nothing_to_say() -> None:
    folders = snapshot_of(**{f"f{n}": n for n in range(70)}).folders
    text = join(KeptCollector(lambda: SELF._replace(folders=folders)).render(Format.TEXT))
    checked = promtool("check", "metrics", input_text=text.decode())
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_what_follows_the_catalogue_is_chosen_by_name_too() -> None:
    others = partial(_others, snapshot_of(a=1))
    collector = KeptCollector(SELF._replace)
    assert join(collector.render(Format.TEXT, others=others(), names={"fexp_files"})).count(b"# TYPE") == 1
    assert join(collector.render(Format.TEXT, others=others(), names={"nothing"})) == b""
    assert join(collector.render(Format.OPENMETRICS, others=others(), names={"nothing"})) == b"# EOF\n"


def _others(snapshot: Snapshot) -> Families:
    return Families(FexpCollector(lambda: snapshot, TEXTFILE_SCOPES).collect())
