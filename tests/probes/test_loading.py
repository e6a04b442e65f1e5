"""How probes are found, what their functions must be like, and their options."""

from __future__ import annotations

import enum
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import pytest

import fexp
from fexp.config.origin import Origin, Written
from fexp.config.probes import check_together, load_all, select
from fexp.errors import SettingsError
from fexp.probes.loading import installed_probes, load_probes

if TYPE_CHECKING:
    from collections.abc import Callable

    from fexp import Sample

G = fexp.gauge("things", "Things.")

FILES = {
    "broken.py": ("import fexp\nx = (\n", "broken.py:2: '(' was never closed"),
    "raises.py": ("\n\n1 / 0\n", "raises.py:3: ZeroDivisionError: division by zero"),
    "exits.py": ("raise SystemExit(3)\n", "exits.py:1: SystemExit: 3"),
    "empty.py": ("import fexp\n", "empty.py:1: no probe is in it: decorate a function with @fexp.probe"),
    "wrong.py": ("import fexp\n\nX = fexp.gauge('a b', 'x')\n", "wrong.py:3: gauge 'a b': not the name of a metric"),
    "nowhere.py": ("import no_such_module\n", "nowhere.py:1: ModuleNotFoundError"),
    "state.py": (
        "import fexp\n\n@fexp.probe\ndef p(state):\n    pass\n",
        "state.py: probe p: nothing gives it state: add a lifespan that yields it, or a * before a setting",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_cannot_be_used_is_named_with_its_line(name: str, tmp_path: Path) -> None:
    text, message = FILES[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(SettingsError) as raised:
        load_probes(str(tmp_path / name))
    assert str(raised.value).startswith(f"{tmp_path}/{message}")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("lin_count", "lin_count: no such probe is installed; did you mean line_count?"),
        ("./no.py", r"\./no.py: there is no such file"),
        ("fexp.probes.shipped:line_cuont", "fexp.probes.shipped has no line_cuont; did you mean line_count"),
        ("no_such_module:x", "ModuleNotFoundError"),
        ("os:getcwd", "neither a probe nor a collector"),
    ],
)
def test_what_is_not_there_is_named_with_the_nearest(asked: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load_probes(asked)


def test_all_ways_lead_to_the_same_probe() -> None:
    (by_name,) = load_probes("line_count")
    (by_module,) = load_probes("fexp.probes.shipped:line_count")
    assert by_name is by_module
    assert set(installed_probes()) >= {"checksum", "csv_header", "line_count", "marker_file"}


def test_collectors_are_accepted(tmp_path: Path) -> None:
    lines = "import prometheus_client as p", "REG = p.CollectorRegistry()", "A = p.Gauge('a', 'A', registry=REG)", ""
    (tmp_path / "client.py").write_text("\n".join(lines))
    (probe,) = load_probes(str(tmp_path / "client.py"))
    assert probe.name == "reg"
    assert [family.name for family in probe()] == ["a"]


def test_a_file_finds_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "neighbour_of_a_probe.py").write_text("import fexp\nG = fexp.gauge('n', 'N')\n")
    (tmp_path / "main.py").write_text(
        "import fexp\nfrom neighbour_of_a_probe import G\n\n@fexp.probe(metrics=G)\ndef p():\n    return G(1)\n"
    )
    before = list(sys.path)
    try:
        assert [probe.name for probe in load_probes(str(tmp_path / "main.py"))] == ["p"]
    finally:
        sys.path[:] = before


def _function(*_: Any) -> None: ...


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fexp.probe(metrics=cast("Any", [3]))(lambda: None), "name it in small letters"),
        (lambda: fexp.probe(metrics=cast("Any", [3]), name="p")(lambda: None), "metrics holds 3"),
        (lambda: fexp.probe(on=cast("Any", "1m"), name="p")(lambda: None), "on='1m' does not say when"),
        (lambda: fexp.probe(name="p", max_series=0)(lambda: None), "not a number above 0"),
        (lambda: fexp.probe(name="p", on=fexp.files())(lambda: None), "must take the file"),
        (lambda: fexp.probe(name="p")(lambda a, b: None), "nothing gives it b: put a *"),
        (lambda: fexp.probe(name="p", metrics=[G, fexp.counter("things", "T.")])(lambda: None), "things has the type"),
        (lambda: fexp.every("soon"), "every 'soon' is not a duration"),
        (lambda: fexp.every(0), "every 0 is not a duration"),
        (lambda: fexp.every(float("inf")), "every inf is more than 100 years"),
        (lambda: fexp.scrape(timeout="99999999d"), "timeout '99999999d' is more than 100 years"),
        (lambda: fexp.cron("61 * * * *"), "not a cron expression"),
        (lambda: fexp.cron("x"), "not a cron expression"),
        (lambda: fexp.files(""), "matches nothing"),
        (lambda: fexp.files(settled="x"), "settled 'x' is not a duration"),
        (lambda: fexp.scrape(timeout=0), "timeout 0 is not"),
        (lambda: fexp.adapt(3, "x"), "neither a probe nor a collector"),
        (lambda: fexp.probe(name="p")(lambda: None).lifespan(_function), "must be a generator"),
    ],
)
def test_a_probe_that_makes_no_sense_says_so_at_once(make: Callable[[], object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        make()


class Colour(enum.Enum):
    RED = "red"


def _configurable(
    *,
    text: Annotated[str, fexp.Option("A text.")],
    number: int = 3,
    share: float | None = None,
    path: Path = Path("x"),
    names: tuple[int, ...] = (1,),
    colour: Colour = Colour.RED,
    mode: Literal["a", "b"] = "a",
    strict: bool = False,
    tolerant: bool = True,
    seconds: Annotated[float, fexp.Option("How long.", "DURATION", lambda text: float(text.rstrip("s")))] = 1.0,
) -> Sample:
    return G(1)


DEFAULTS = {
    "number": 3, "share": None, "path": Path("x"), "names": (1,), "colour": Colour.RED, "mode": "a", "strict": False,
    "tolerant": True, "seconds": 1.0,
}  # fmt: skip
CONFIGURABLE = fexp.probe(metrics=G, name="conf")(_configurable)


def _select(**given: Any) -> dict[str, Any]:
    values = {f"conf-{name}": (value, Origin(f"--conf-{name}")) for name, value in given.items()}
    (selected,) = select([CONFIGURABLE], lambda _: Written(values, lambda name: f"--{name}"))
    return dict(selected.settings)


def test_settings_are_typed_and_defaults_are_the_functions() -> None:
    assert _select(text="t") == {**DEFAULTS, "text": "t"}
    given = {
        "text": "", "number": "-4", "share": "0.5", "path": "/y", "names": ("1", "2"), "colour": "red", "mode": "b",
        "strict": True, "tolerant": "false", "seconds": "2s",
    }  # fmt: skip
    assert _select(**given) == {
        "text": "", "number": -4, "share": 0.5, "path": Path("/y"), "names": (1, 2), "colour": Colour.RED, "mode": "b",
        "strict": True, "tolerant": False, "seconds": 2.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "--conf-text is missing: probe conf needs it"),
        ({"text": "", "number": "1.5"}, "--conf-number '1.5' is not a whole number"),
        ({"text": "", "share": "x"}, "--conf-share 'x' is not a number"),
        ({"text": "", "names": ("1", "x")}, "--conf-names 'x' is not a whole number"),
        ({"text": "", "colour": "blue"}, "--conf-colour 'blue' is not known: red"),
        ({"text": "", "mode": "c"}, "--conf-mode 'c' is not known: a, b"),
        ({"text": "", "tolerant": "maybe"}, "--conf-tolerant 'maybe' is not known: true, false"),
        ({"text": "", "seconds": "x"}, "--conf-seconds 'x' is could not convert"),
    ],
)
def test_a_wrong_setting_names_where_it_was_given(given: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        _select(**given)


def test_settings_that_no_text_becomes_are_refused() -> None:
    def untyped(*, a=1) -> None: ...  # type: ignore[no-untyped-def]

    def odd(*, a: dict[str, int]) -> None: ...

    for function, message in ((untyped, "setting a has no type"), (odd, "no text becomes")):
        with pytest.raises(SettingsError, match=message):
            fexp.probe(function)


def test_two_that_do_not_go_together_are_refused() -> None:
    one, other = (
        fexp.probe(metrics=metric, name=name)(lambda: None)
        for name, metric in (("one", G), ("other", fexp.gauge("things", "Other things.")))
    )
    with pytest.raises(SettingsError, match=r"things has the help 'Other things.', but 'Things.' in probe one"):
        check_together([one, other])
    with pytest.raises(SettingsError, match="two of this name"):
        check_together([one, one])
    check_together([one, fexp.probe(metrics=fexp.gauge("things", "Things."), name="third")(lambda: None)])
    with pytest.raises(SettingsError, match="--probe nosuch: no such probe"):
        load_all(Origin("--probe"), ["nosuch"])
