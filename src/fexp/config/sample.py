"""A commented config file, made of the options' declarations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fexp.config.config_file import DEFAULTS, FOLDERS, GROUPS, OUTPUTS, PATH, PROBES
from fexp.config.entries import keys_of
from fexp.config.probe_entries import PROBE
from fexp.config.shape import Shape, shape_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fexp.config.options import Group, Option
    from fexp.config.output import OutputSettings

_HEAD = """\
# A config file of fexp: fexp watch --config FILE. It may be a directory of such files, too.
# Keys are the options' names with underscores. What stands behind # is what holds without it, or what is to be given.
# ${NAME} in a value is taken from the environment. Options on the command line win.
"""
_INTRODUCTIONS = {
    DEFAULTS: "What holds for all folders that do not say otherwise.",
    OUTPUTS: "Where the numbers go. With nothing here, fexp watch serves http://127.0.0.1:9877/metrics.",
}
_PROBES = f"""
# Probes that run too, with their parameters: an installed one, one of a module as module:name, or those of a file.py.
{PROBES}:
  #- line_count
  #- {PROBE}: csv_header
  #  column: [id, amount]
  #  delimiter: ";"
""".splitlines()


def sample(kinds: Iterable[type[OutputSettings]]) -> str:
    """Return a config file that shows every option, and is accepted as it is."""
    lines = [_HEAD, f"{FOLDERS}:", f"  - {PATH}: /var/log", *_options(GROUPS[DEFAULTS], "    ")]
    for section, groups in GROUPS.items():
        lines.append("")
        lines += [f"# {_INTRODUCTIONS[section]}"] if section in _INTRODUCTIONS else []
        lines.append(f"{section}:")
        if section == DEFAULTS:
            lines.append("  # The options of a folder, as above.")
            continue
        lines += _options(groups, "  ")
        for kind in kinds if section == OUTPUTS else ():
            lines += [f"  #{kind.kind}:", *_options((kind,), "  #  ")]
    return "\n".join([*lines, *_PROBES]) + "\n"


def _options(groups: Iterable[type[Group]], indent: str) -> Iterator[str]:
    for key, option in keys_of(groups).items():
        yield f"{indent}# {option.help.removesuffix(' Repeatable.')}"
        yield f"{indent}#{key}: {_value(option)}"


def _value(option: Option) -> str:
    """Return the default, or what is to be given."""
    shape, shown = shape_of(option), option.metavar or ""
    if shape is Shape.FLAG:
        return "false"
    if shape is Shape.PAIRS:
        return "{NAME: VALUE}"
    if shape is Shape.TEXTS:
        return f"[{shown}]"
    return option.default if isinstance(option.default, str) and option.default else shown
