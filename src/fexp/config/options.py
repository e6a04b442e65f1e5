"""Options, each declared once: as a field of the settings that it becomes.

A field's declaration gives the command-line option, its environment variable, its parser, its default and its help.
The default of the settings is the default of the option, so that there is one.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, cast, dataclass_transform

from fexp.config.origin import Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fexp.config.origin import Raw, Written

T = TypeVar("T")


class Option:
    """The declaration of one option."""

    def __init__(
        self,
        name: str,
        parse: Callable[[Origin, Any], Any],
        default: Raw | Callable[[], str] | None,
        help_text: str,
        metavar: str | None = None,
        *,
        repeatable: bool = False,
        aliases: tuple[str, ...] = (),
        secret: bool = False,
        key: str | None = None,
    ) -> None:
        self.name = name
        """``heartbeat``. One that begins with a dash follows the prefix of its group: ``-mode``."""
        self.parse = parse
        self.default = default
        """As a user would write it; None for no value."""
        self.help = help_text
        self.metavar = metavar
        """None for a flag."""
        self.repeatable = repeatable
        self.aliases = aliases
        """Other spellings on the command line."""
        self.secret = secret
        """Whether only the environment may hold it: everybody can read the arguments of a process."""
        self.key = key
        """In a config file; None: its name with underscores, without the prefix of its group."""
        self.panel = ""
        """The heading in the help."""

    def but(self, **changes: Any) -> Option:
        """Return the same declaration but for these."""
        changed = copy(self)
        vars(changed).update(changes)
        return changed

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
    return cast("T", Option(name, parse, default, help_text, metavar, aliases=aliases, secret=secret))


def repeatable(
    name: str,
    parse: Callable[[Origin, tuple[str, ...]], T],
    help_text: str,
    *,
    metavar: str,
    aliases: tuple[str, ...] = (),
    key: str | None = None,
) -> T:
    """Declare an option that may be given several times."""
    whole_help = f"{help_text} Repeatable."
    return cast("T", Option(name, parse, (), whole_help, metavar, repeatable=True, aliases=aliases, key=key))


def flag(name: str, help_text: str, *, aliases: tuple[str, ...] = ()) -> bool:
    """Declare an option that is either given or not."""
    return cast("bool", Option(name, lambda _, raw: raw, False, help_text, aliases=aliases))


def constant(value: T) -> T:
    """Declare a value that no option sets."""
    return cast("T", _Constant(value))


class _Constant:
    def __init__(self, default: Any) -> None:
        self._default = default

    def value(self) -> Any:
        return self._default


@dataclass_transform(frozen_default=True)
class Group:
    """Settings that belong together: what a frozen dataclass of their declarations would be.

    It is none because a one-shot would spend 15 ms on making these classes.
    """

    prefix: ClassVar[str] = ""
    panel: ClassVar[str] = ""
    _declared: ClassVar[Mapping[str, Option | _Constant]] = {}

    origins: Mapping[str, Origin]
    """By the name of the field."""

    def __init_subclass__(cls) -> None:
        """Collect the declarations."""
        own = {name: value for name, value in vars(cls).items() if isinstance(value, Option | _Constant)}
        cls._declared = {**cls._declared, **own}

    def __init__(self, *values: Any, origins: Mapping[str, Origin] | None = None, **named: Any) -> None:
        """Take values in the order of their declarations, or by name. Raise SettingsError."""
        given = {**dict(zip(self._declared, values, strict=False)), **named}
        if len(values) > len(self._declared) or not given.keys() <= self._declared.keys():
            unknown = sorted(given.keys() - self._declared.keys())
            raise TypeError(f"{type(self).__name__} has {len(self._declared)} settings; unknown: {unknown}")
        vars(self).update(origins=origins or {})
        for name, declared in self._declared.items():
            vars(self)[name] = given[name] if name in given else declared.value()
        self.validate()

    def validate(self) -> None:
        """Raise a SettingsError for values that do not go together."""

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse: settings are frozen."""
        raise AttributeError(f"settings are frozen: {name} cannot become {value!r}")

    def __eq__(self, other: object) -> bool:
        """Compare the values, wherever they were given."""
        return type(self) is type(other) and self._values() == other._values()

    __hash__ = None  # type: ignore[assignment]  # values may be mappings

    def __repr__(self) -> str:
        """Return the values."""
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._values().items())})"

    def _values(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self._declared}

    def replace(self, **changes: Any) -> Self:
        """Return the same settings but for these. Raise SettingsError."""
        return type(self)(**{**self._values(), **changes}, origins=self.origins)

    def origin(self, name: str) -> Origin:
        """Return where the field of this name was given, or how to give it."""
        return self.origins.get(name) or Origin(self.options()[name].name, given=False)

    @classmethod
    def options(cls) -> dict[str, Option]:
        """Return the options with their whole names, by the names of the fields."""
        return {
            name: declared.but(name=_whole_name(cls, declared.name), panel=cls.panel)
            for name, declared in cls._declared.items()
            if isinstance(declared, Option)
        }

    @classmethod
    def keys(cls) -> dict[str, Option]:
        """Return the options by their keys in a config file. No secret has one: it has a file or a variable."""
        return {
            _key(cls, field, declared): declared.but(name=_whole_name(cls, declared.name), panel=cls.panel)
            for field, declared in cls._declared.items()
            if isinstance(declared, Option) and not declared.secret
        }

    @classmethod
    def read(cls, written: Written) -> Self:
        """Return the settings that were written. Raise SettingsError."""
        values, origins = {}, {}
        for name, declared in cls.options().items():
            origins[name] = origin = written.origin(declared.name)
            if origin.given:
                values[name] = declared.parse(origin, written.value(declared.name))
        return cls(**values, origins=origins)


def changed_keys(old: Group, new: Group) -> list[str]:
    """Return the keys of a config file whose values differ in two settings of one kind."""
    before, after = old._values(), new._values()
    fields = [field for field in before if before[field] != after[field]]
    return [_key(type(old), field, option) for field, option in old.options().items() if field in fields]


def _whole_name(group: type[Group], name: str) -> str:
    return group.prefix + name if name.startswith("-") else name


def _key(group: type[Group], field: str, declared: Option) -> str:
    """Return the key of an option. The option that asks for an output is what its field is: the file, the URL."""
    if declared.name == group.prefix:
        return field
    return declared.key or declared.name.removeprefix("-").replace("-", "_")
