"""Which probes run, and what they are set by: options made of the parameters of their functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from fexp.config.options import Group, Option, option, repeatable
from fexp.config.values import parse_size
from fexp.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from fexp.config.origin import Origin, Written
    from fexp.probes.parameters import Parameter
    from fexp.probes.probe import Probe

_FIELD = "set_"
"""Before the parameter's name: it may be named as anything of a group."""


class ProbesSettings(Group):
    """Which probes run."""

    panel: ClassVar = "Probes"

    names: tuple[str, ...] = repeatable(
        "probe",
        lambda _, texts: texts,
        "Run a probe too: an installed one, one of a module as module:name, or those of a file.py.",
        metavar="NAME",
    )


class ReadingSettings(Group):
    """What all probes have in common."""

    panel: ClassVar = "Probes"

    read_bytes_per_second: int = option(
        "probe-read-rate", parse_size, "64MiB", "Let all probes together read so much a second.", metavar="SIZE"
    )

    def validate(self) -> None:
        if self.read_bytes_per_second < 1:
            raise SettingsError(f"{self.origin('read_bytes_per_second')} must be more than 0")


class Selected(NamedTuple):
    """A probe that shall run, and its settings."""

    probe: Probe
    settings: Mapping[str, Any]


def load_all(origin: Origin | str, names: Iterable[str]) -> tuple[Probe, ...]:
    """Return the probes of these names. Raise SettingsError, also for two that do not go together."""
    from fexp.probes.loading import load_probes

    probes: list[Probe] = []
    for name in dict.fromkeys(names):
        try:
            probes += load_probes(name)
        except SettingsError as error:
            raise SettingsError(f"{origin} {error}") from None
    check_together(probes)
    return tuple(probes)


def check_together(probes: Sequence[Probe]) -> None:
    """Raise a SettingsError for two probes of one name, or that declare one family differently."""
    from fexp.probes.probe import check_families

    names: set[str] = set()
    for number, probe in enumerate(probes):
        name = probe.name.replace("_", "-")
        if name in names:
            raise probe.wrong("there are two of this name; rename one of them")
        names.add(name)
        check_families(probe, probes[:number])


def group_of(probe: Probe) -> type[Group]:
    """Return the settings class of a probe. Each option is named as the probe and the parameter."""
    fields = {_FIELD + one.name: _ProbeOption.of(one) for one in probe.parameters}
    summary = probe.help.partition("\n")[0].rstrip(".")
    panel = f"Probe {probe.name}: {summary}" if summary else f"Probe {probe.name}"
    return type("ProbeSettings", (Group,), {"prefix": probe.name.replace("_", "-"), "panel": panel, **fields})


def select(probes: Iterable[Probe], written_for: Callable[[Probe], Written]) -> tuple[Selected, ...]:
    """Return the probes with the settings that were written for each. Raise SettingsError."""
    return tuple(Selected(probe, _settings(probe, written_for(probe))) for probe in probes)


def _settings(probe: Probe, written: Written) -> dict[str, Any]:
    from fexp.probes.parameters import REQUIRED

    group = group_of(probe).read(written)
    settings = {}
    for one in probe.parameters:
        origin = group.origin(_FIELD + one.name)
        if not origin.given and one.default is REQUIRED:
            raise SettingsError(f"{origin} is missing: probe {probe.name} needs it")
        settings[one.name] = getattr(group, _FIELD + one.name) if origin.given else one.default
    return settings


class _ProbeOption(Option):
    """An option whose default is the function's: it is shown, never parsed."""

    def value(self) -> None:
        """Return nothing: what is not given keeps the function's default."""

    @classmethod
    def of(cls, parameter: Parameter) -> _ProbeOption:
        """Return the option of a parameter."""
        name = "-" + parameter.name.strip("_").replace("_", "-")
        text = parameter.help or f"Set {parameter.name}."
        if parameter.parse is None:
            return cls(name, lambda _, raw: raw, False, text)
        shown = str(getattr(parameter.default, "value", parameter.default))
        is_shown = isinstance(parameter.default, str | int | float) and not isinstance(parameter.default, bool)
        default = shown if is_shown else shown.lower() if isinstance(parameter.default, bool) else None
        if parameter.repeatable:
            return cls(name, _several(parameter), (), f"{text} Repeatable.", parameter.metavar, repeatable=True)
        return cls(name, _one(parameter), default, text, parameter.metavar)


def _one(parameter: Parameter) -> Any:
    def parse(origin: Origin, text: str) -> Any:
        assert parameter.parse is not None
        try:
            return parameter.parse(text)
        except (ValueError, TypeError) as error:
            raise SettingsError(f"{origin} {text!r} is {error}") from None

    return parse


def _several(parameter: Parameter) -> Any:
    one = _one(parameter)

    def parse(origin: Origin, texts: Collection[str]) -> tuple[Any, ...]:
        return tuple(one(origin, text) for text in texts)

    return parse
