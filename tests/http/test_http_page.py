"""The status page shows names as names and loads nothing from elsewhere."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from html.parser import HTMLParser

from hypothesis import given, settings
from hypothesis import strategies as st

from fexp.model import DeliverySnapshot, FolderStatus, Snapshot
from fexp.outputs.http.page import render_page
from tests.http.serving import MemoryServed, ask, make_folder, running

HOSTILE = "/<script>alert(1)</script><img src=x onerror=alert(2)>\"'&"


class Reader(HTMLParser):
    """Collects the tags and the text of a page. A place where a line may break is neither."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self._goes_on = False
        self.feed(page.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._goes_on = tag == "wbr"
        if not self._goes_on:
            self.tags.append(tag)
            self.attributes += attrs

    def handle_data(self, data: str) -> None:
        if self._goes_on:
            self.words[-1] += data
        else:
            self.words.append(data)
        self._goes_on = False

    def handle_endtag(self, tag: str) -> None:
        self._goes_on = False


def test_names_are_escaped() -> None:
    with running(MemoryServed(folders=(make_folder(HOSTILE, HOSTILE),))) as server:
        reply = ask(server, "/")
    page = Reader(reply.body)
    assert page.tags.count("script") == 1
    assert "img" not in page.tags
    assert HOSTILE in page.words


@settings(max_examples=50)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30))
def test_no_name_makes_a_tag(name: str) -> None:
    plain = Reader(render_page(Snapshot((make_folder("/plain"),)), (), 0.0))
    status = FolderStatus("/" + name, False, True, 0, name)
    odd = Reader(render_page(Snapshot((make_folder("/" + name, name),)), (status,), 0.0))
    assert odd.tags == plain.tags


def test_a_terminal_and_a_reader_are_not_led_astray() -> None:
    """Names with the bytes of a terminal's commands, of line ends and of writing that turns round."""
    name = "/a\x1b[31m\x9b\x7f\x0b\x85\u2028\u202eb"
    status = FolderStatus(name, False, True, 0, name)
    page = render_page(Snapshot((make_folder(name, name), make_folder(name, name, up=False))), (status,), 0.0).decode()
    assert all(char.isprintable() or char in "\n\N{NARROW NO-BREAK SPACE}" for char in page)
    assert "/a\\x1b[31m\\x9b\\x7f\\x0b\\x85\\u2028\\u202eb" in page


def test_policy_allows_just_this_style_and_this_script() -> None:
    with running() as server:
        reply = ask(server, "/")
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        (text,) = re.findall(f"<{tag}>(.*?)</{tag}>", reply.text, re.DOTALL)
        digest = b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    links = [value for name, value in Reader(reply.body).attributes if name in {"href", "src"}]
    assert not any(link and ("//" in link or link.startswith("/")) for link in links)  # works below a path prefix


def test_shows_numbers_ages_and_what_is_down() -> None:
    """Mistake 21g."""
    up, down = make_folder(), make_folder("/gone", up=False)
    statuses = (FolderStatus("/gone", False, True, 0, "no such directory"),)
    words = Reader(render_page(Snapshot((up, down)), statuses, 1_700_000_000.0 + 7 * 60)).words
    assert "7m 0s" in words
    assert "4.8 KiB" in words
    assert "1\N{NARROW NO-BREAK SPACE}234" in words
    assert "down: no such directory" in words
    assert "1 of 2 folders up" in " ".join(words)


def test_first_look_under_way_is_shown() -> None:
    folder = make_folder("/big", up=False)
    status = FolderStatus("/big", False, False, 9000, None)
    words = Reader(render_page(Snapshot((folder,)), (status,), 0.0)).words
    assert "first look: 9\N{NARROW NO-BREAK SPACE}000 files so far" in words


def test_problems_come_first_and_outputs_say_how_they_fare() -> None:
    folders = (make_folder("/fine"), make_folder("/gone")._replace(up=False))
    deliveries = (
        DeliverySnapshot("textfile", 3, 0, 990.0, 0.1),
        DeliverySnapshot("gateway", 3, 1, 940.0, 0.1, is_failing=True),
        DeliverySnapshot("remote_write", 0, 2, None, None, is_failing=True),
    )
    page = render_page(Snapshot(folders, deliveries), [], 1000.0).decode()
    assert page.index("gone<") < page.index("fine<")
    assert '<span class="down">1 of 2 folders up</span>' in page
    well = "<p>textfile: delivered 10s ago</p>"
    ill = '<p class="down">gateway: delivered 1m 0s ago; the latest try failed</p>'
    never = '<p class="down">remote_write: no delivery yet; the latest try failed</p>'
    assert page.index(ill) < page.index(never) < page.index(well)


def test_where_all_is_well_nothing_is_marked() -> None:
    page = render_page(Snapshot((make_folder("/fine"),), (DeliverySnapshot("textfile", 3, 0, 990.0, 0.1),)), [], 1000.0)
    assert page.count(b'class="down"') == 1  # of the line that is hidden while fexp answers
    assert b"; 1 of 1 folders up</p>" in page


def test_lines_may_break_between_links_and_within_a_path_after_each_slash() -> None:
    """Else a phone scrolls sideways, and a long path breaks within its names."""
    page = render_page(Snapshot((make_folder("/a/b"),)), [], 0.0).decode()
    assert "</a><a" not in page
    assert ">/<wbr>a/<wbr>b</td>" in page
