"""Under load nothing is lost and every number is true, while files come and go and clients misbehave."""

from __future__ import annotations

import re

import pytest

from tests.load.http_load import main, wrong_numbers


@pytest.mark.parametrize("tls", [(), ("--tls",)], ids=["plain", "tls"])
def test_no_scrape_is_lost_and_each_holds_the_numbers_of_the_folders(
    tls: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Mistakes 21a, 21b."""
    status = main([*tls, "--seconds", "2", "--rate", "100", "--idle", "200", "--hostile", "20"])
    told = capsys.readouterr().out
    assert status == 0, told
    answered = re.search(r"^answered (\d+) .*, lost 0$", told, re.MULTILINE)
    assert answered, told
    assert int(answered[1]) >= 100, told


@pytest.mark.parametrize(
    ("files", "arrivals", "departures", "wrong"),
    [(103, 8, 5, ""), (99, 0, 1, "-1 files"), (111, 11, 0, "+11 files"), (103, 8, 6, "after +2 arrivals")],
)
def test_the_load_knows_a_wrong_number(files: int, arrivals: int, departures: int, wrong: str) -> None:
    numbers = {"files": files, "arrivals_total": arrivals, "departures_total": departures}
    text = "".join(f'fexp_{name}{{folder="/in",pattern="*.txt"}} {value}.0\n' for name, value in numbers.items())
    assert wrong in wrong_numbers(text, ["/in"])
    assert bool(wrong) == bool(wrong_numbers(text, ["/in"]))
    assert wrong_numbers(text, ["/elsewhere"])
