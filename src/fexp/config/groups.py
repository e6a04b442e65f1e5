"""Regular expressions that make labels, as the user writes them."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from fexp.config.labels import check_own, check_pairs
from fexp.errors import SettingsError
from fexp.text import one_line, unambiguous

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fexp.config.origin import Origin


def parse_group(origin: Origin | str, regex: str) -> str:
    """Return a regex whose named groups are labels. Raise SettingsError for any other, and without RE2."""
    from fexp.counting import regex as engine

    shown = one_line(regex)
    try:
        os.fsencode(regex)
        names = engine.label_names(regex)
    except ImportError:
        raise SettingsError(f"{origin} needs one more package: pip install google-re2") from None
    except UnicodeEncodeError:
        raise SettingsError(f"{origin} {shown} is not text: write it in UTF-8") from None
    except ValueError as error:
        raise SettingsError(
            f"{origin} {shown}: {one_line(str(error))}; write it as RE2 takes it, without (?=…) and \\1"
        ) from None
    if not names:
        raise SettingsError(f"{origin} {shown} names no group: write (?P<partner>[A-Z]+), and partner is a label")
    written = re.findall(r"\(\?P?<(\w+)>", regex)  # RE2 takes a name twice
    check_pairs(origin, [(name, "") for name in written])
    check_own(origin, names)
    return regex


def label_names(regex: str) -> tuple[str, ...]:
    """Return the names of the groups of a regex that was parsed; none of none."""
    if not regex:
        return ()
    from fexp.counting import regex as engine

    return engine.label_names(regex)


def labels_from_path(regex: str, path: bytes) -> Mapping[str, str]:
    """Return the labels that a regex finds in the path of a folder, ``other`` where it finds none; none of no regex."""
    if not regex:
        return {}
    from fexp.counting import regex as engine
    from fexp.counting.naming import OTHER

    names, found = engine.label_names(regex), engine.search_function(regex)(path)
    if found is None:
        return dict.fromkeys(names, OTHER)
    return {name: unambiguous(value) for name, value in zip(names, found, strict=True) if value}
