"""What the settings of all outputs have in common. Each output declares its own where it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from fexp.config.options import Group

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from fexp.config.given import Given
    from fexp.config.origin import Origin


class OutputSettings(Group):
    """Settings of one output. It is asked for by the option that is named like its prefix."""

    kind: ClassVar[str]
    """The name in the mapping of outputs, and the value of the label ``output``."""

    @property
    def asked_by(self) -> Origin:
        """Where the output was asked for."""
        return self.origin(next(name for name, one in self.options().items() if one.name == self.prefix))

    @property
    def added_labels(self) -> frozenset[str]:
        """The labels that the output adds to every series."""
        return frozenset()

    def check_labels(self, names: Collection[str]) -> None:
        """Raise a SettingsError if the output cannot tell its own labels from these of the series."""


def asked_for(kinds: Iterable[type[OutputSettings]], given: Given) -> tuple[OutputSettings, ...]:
    """Return the settings of each output that was asked for. Raise SettingsError."""
    return tuple(kind.read(given.of(kind)) for kind in kinds if given.asks_for(kind))


def without_effect(kinds: Collection[type[OutputSettings]], given: Given) -> Iterator[str]:
    """Yield a line for each option of one output alone that was given though its output was not asked for."""
    written = given.command_line
    names = {kind: {declared.name for declared in kind.options().values()} for kind in kinds}
    for kind in kinds:
        if given.asks_for(kind):
            continue
        shared = set[str]().union(*(names[other] for other in kinds if other is not kind))
        for name in sorted(names[kind] - shared):
            if name in written:
                yield f"{written.origin(name)} has no effect without {written.origin(kind.prefix)}"
