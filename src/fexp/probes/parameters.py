"""The settings of a probe: the keyword-only parameters of its function."""

from __future__ import annotations

import enum
import inspect
import os
import types
import typing
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from fexp.errors import SettingsError

    Parse = Callable[[str], Any]

REQUIRED = inspect.Parameter.empty


class Option(NamedTuple):
    """What the help says of a parameter: ``delimiter: Annotated[str, Option("The separator.")] = ","``."""

    help: str = ""
    metavar: str = ""
    parse: Parse | None = None
    """From text to the value. It may raise ValueError with the reason."""


class Parameter(NamedTuple):
    """One setting of a probe."""

    name: str
    parse: Parse | None
    """From text to the value; of one value, if there may be several. Raise ValueError. None for a flag."""
    default: Any
    """``REQUIRED`` if there is none."""
    help: str
    metavar: str
    repeatable: bool


def parameters_of(function: Callable[..., Any], wrong: Callable[[str], SettingsError]) -> tuple[Parameter, ...]:
    """Return the settings of a function. Raise what ``wrong`` returns for one that no text can become."""
    own = {
        name: one
        for name, one in inspect.signature(function).parameters.items()
        if one.kind is inspect.Parameter.KEYWORD_ONLY
    }
    annotated = types.SimpleNamespace(__annotations__={name: one.annotation for name, one in own.items()})
    module = getattr(inspect.unwrap(function), "__globals__", {})
    try:
        hints = typing.get_type_hints(annotated, globalns=module, include_extras=True)
    except NameError as error:
        raise wrong(f"the type of a setting is not known at run time: {error}; import it there too") from None
    return tuple(_parameter(name, one.default, hints[name], wrong) for name, one in own.items())


def _parameter(name: str, default: Any, hint: Any, wrong: Callable[[str], SettingsError]) -> Parameter:
    if hint is REQUIRED:
        raise wrong(f"setting {name} has no type: write {name}: str, or int, float, bool")
    shown = Option()
    if typing.get_origin(hint) is typing.Annotated:
        hint, *extras = typing.get_args(hint)
        shown = next((extra for extra in extras if isinstance(extra, Option)), shown)
    plain = _without_none(hint)
    if plain is bool and default is False and shown.parse is None:
        return Parameter(name, None, False, shown.help, "", repeatable=False)
    repeatable = typing.get_origin(plain) in {list, tuple} and shown.parse is None
    item = typing.get_args(plain)[0] if repeatable else plain
    parse = shown.parse or _parser(item)
    if parse is None:
        raise wrong(f"setting {name}: no text becomes {item!r}; take str, int, float, bool, or give Option(parse=…)")
    metavar = shown.metavar or (item.__name__.upper() if isinstance(item, type) else "VALUE")
    return Parameter(name, parse, default, shown.help, metavar, repeatable=repeatable)


def _without_none(hint: Any) -> Any:
    """Return ``X`` for ``X | None``."""
    if typing.get_origin(hint) in {types.UnionType, typing.Union}:
        rest = [one for one in typing.get_args(hint) if one is not types.NoneType]
        return rest[0] if len(rest) == 1 else hint
    return hint


def _parser(kind: Any) -> Parse | None:
    if typing.get_origin(kind) is Literal:
        return _choice({str(value): value for value in typing.get_args(kind)})
    if kind is bool:
        return _choice({"true": True, "false": False})
    if kind is int:
        return _number(int, "a whole number")
    if kind is float:
        return _number(float, "a number")
    if not isinstance(kind, type):
        return None
    if issubclass(kind, enum.Enum):
        return _choice({str(one.value): one for one in kind})
    return kind if issubclass(kind, str | os.PathLike) else None


def _choice(known: dict[str, Any]) -> Parse:
    def parse(text: str) -> Any:
        if text not in known:
            raise ValueError(f"not known: {', '.join(known)}")
        return known[text]

    return parse


def _number(kind: type[int | float], what: str) -> Parse:
    def parse(text: str) -> Any:
        try:
            return kind(text)
        except ValueError:
            raise ValueError(f"not {what}") from None

    return parse
