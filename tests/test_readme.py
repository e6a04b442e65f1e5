"""The README's tables are made from the code. To make them anew: ``python -m tests.test_readme``."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fexp.metrics import CATALOGUE

README = Path(__file__).parent.parent / "README.md"
_SECTION = re.compile(r"(<!-- metrics -->\n).*?(<!-- /metrics -->)", re.DOTALL)


def metrics_table() -> str:
    lines = ["| metric | type | labels | what |", "| --- | --- | --- | --- |"]
    lines += [f"| `{row.name}` | {row.kind} | {', '.join(row.labels) or 'none'} | {row.help} |" for row in CATALOGUE]
    return "\n".join(lines) + "\n"


def with_tables(text: str) -> str:
    return _SECTION.sub(lambda match: match[1] + metrics_table() + match[2], text)


def test_metrics_table_is_the_catalogue() -> None:
    text = README.read_text()
    assert _SECTION.search(text)
    assert text == with_tables(text)


@pytest.mark.parametrize("link", re.findall(r"\]\((?!https?:|#)([^)#]+)", README.read_text()))
def test_links_lead_somewhere(link: str) -> None:
    assert (README.parent / link).exists()


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text()))
