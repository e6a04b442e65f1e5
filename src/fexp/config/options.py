"""Options, each declared once: as a field of the settings that it becomes.

A field's declaration gives the command-line option, its environment variable, its parser, its default and its help.
The default of the settings is the default of the option, so that there is one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self, TypeVar, cast

from fexp.config.origin import Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fexp.config.origin import Raw, Written

T = TypeVar("T")


class Option(NamedTuple):
    """The declaration of one option."""

    name: str
    """``heartbeat``. One that begins with a dash follows the prefix of its group: ``-mode``."""
    parse: Callable[[Origin, Any], Any]
    default: Raw | Callable[[], str] | None
    """As a user would write it; None for no value."""
    help: str
    metavar: str | None = None
    """None for a flag."""
    repeatable: bool = False
    aliases: tuple[str, ...] = ()
    """Other spellings on the command line."""
    secret: bool = False
    """Whether only the environment may hold it: everybody can read the arguments of a process."""
    panel: str = ""
    """The heading in the help."""

    def value(self) -> Any:
        """Return the default, parsed."""
        raw = self.default() if callable(self.default) else self.default
        return None if raw is None else self.parse(Origin(self.name, given=False), raw)


def option(
    name: str,
    parse: Callable[[Origin, str], T],
    default: str | Callable[[], str] | None,
    help_text: str,
    *,
    metavar: str,
    aliases: tuple[str, ...] = (),
    secret: bool = False,
) -> T:
    """Declare an option with one value."""
    return cast("T", _declared(Option(name, parse, default, help_text, metavar, aliases=aliases, secret=secret)))


def repeatable(
    name: str,
    parse: Callable[[Origin, tuple[str, ...]], T],
    help_text: str,
    *,
    metavar: str,
    aliases: tuple[str, ...] = (),
) -> T:
    """Declare an option that may be given several times."""
    whole_help = f"{help_text} Repeatable."
    return cast("T", _declared(Option(name, parse, (), whole_help, metavar, repeatable=True, aliases=aliases)))


def flag(name: str, help_text: str, *, aliases: tuple[str, ...] = ()) -> bool:
    """Declare an option that is either given or not."""
    return cast("bool", _declared(Option(name, lambda _, raw: raw, False, help_text, aliases=aliases)))


def _declared(declared: Option) -> Any:  # what dataclass() takes for a default
    return field(default_factory=declared.value, metadata={"option": declared}, repr=not declared.secret)


@dataclass(frozen=True)
class Group:
    """Settings that belong together."""

    prefix: ClassVar[str] = ""
    panel: ClassVar[str] = ""
    origins: Mapping[str, Origin] = field(default_factory=dict, repr=False, compare=False, kw_only=True)
    """By the name of the field."""

    def origin(self, name: str) -> Origin:
        """Return where the field of this name was given, or how to give it."""
        if name in self.origins:
            return self.origins[name]
        declared = options_of(type(self)).get(name)
        return Origin(declared.name if declared else name, given=False)

    @classmethod
    def read(cls, written: Written) -> Self:
        """Make the settings of what was written. Raises SettingsError."""
        values, origins = {}, {}
        for name, declared in options_of(cls).items():
            origins[name] = origin = written.origin(declared.name)
            if origin.given:
                values[name] = declared.parse(origin, written.value(declared.name))
        return cls(**values, origins=origins)


def options_of(group: type[Group]) -> Mapping[str, Option]:
    """Return the options of a group with their whole names, by the names of the fields."""
    return {
        one.name: declared._replace(name=_whole_name(group, declared.name), panel=group.panel)
        for one in fields(group)
        if (declared := one.metadata.get("option")) is not None
    }


def _whole_name(group: type[Group], name: str) -> str:
    return group.prefix + name if name.startswith("-") else name
