"""What is fuzzed: each target takes any text and may raise nothing but a SettingsError of one line."""

from __future__ import annotations

import base64
import os
import socket
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

from fexp.config.labels import parse_labels, parse_pairs
from fexp.config.selection import SelectionSettings, parse_excludes, parse_extensions, parse_patterns
from fexp.config.values import (
    parse_buckets,
    parse_duration,
    parse_file_mode,
    parse_size,
    parse_size_buckets,
    parse_whole_number,
)
from fexp.counting.selection import Selection, pattern_of_name
from fexp.disk.mounts import parse_mounts
from fexp.errors import SettingsError
from fexp.outputs.http import HttpServer
from fexp.outputs.http.listen import parse_listen
from fexp.outputs.http.negotiation import accepts_gzip, choose_format
from fexp.outputs.http.webconfig import parse_web_config
from fexp.outputs.push.gateway import GatewaySettings, grouping_path
from fexp.text import unique_labels
from tests.http.serving import MemoryServed, connect, read_to_end

if TYPE_CHECKING:
    from collections.abc import Callable


def _selection(text: str) -> None:
    pattern, _, exclude = text.partition("\n")
    settings = SelectionSettings(
        matches=parse_patterns("match", (pattern,)),
        excludes=parse_excludes("exclude", (exclude,) if exclude else ()),
        recursive=True,
        ignore_case=len(text) % 2 == 0,
    )
    selection = settings.applied_to(settings.patterns)
    name = text.encode("utf-8", "surrogateescape").replace(b"/", b"").replace(b"\0", b"")[:255] or b"x"
    selection.patterns_of(name, b"a/")
    selection.enters(name, b"a/")


def _settings(text: str) -> None:
    for read in (
        lambda: parse_duration("rescan", text),
        lambda: parse_size("limit", text),
        lambda: parse_whole_number("max-depth", text),
        lambda: parse_file_mode("textfile-mode", text),
        lambda: parse_buckets("dwell-buckets", text),
        lambda: parse_size_buckets("size-buckets", text),
        lambda: parse_labels("label", [text]),
        lambda: parse_extensions("ext", [text]),
    ):
        try:
            read()
        except SettingsError as error:
            _is_one_line(error)


def _gateway(text: str) -> None:
    grouping, _, url = text.partition("\n")
    pairs = parse_pairs("grouping", [grouping])
    settings = GatewaySettings(url or "http://127.0.0.1:9091", grouping=pairs, instance=text)
    parts = iter(grouping_path(settings.key).split("/")[2:])
    for (name, value), label, told in zip(settings.key, parts, parts, strict=True):
        if label == name:
            assert told == value
        else:
            padded = told if told != "=" else ""
            assert base64.urlsafe_b64decode(padded).decode() == value


def _accept(text: str) -> None:
    choose_format(text)
    accepts_gzip(text)


def _names(text: str) -> None:
    raw_names = [part.encode("utf-8", "surrogateescape") for part in text.split("\n")]
    labels = unique_labels(raw_names)
    assert len(set(labels.values())) == len(set(raw_names))


def _one_name(text: str) -> None:
    raw = text.encode("utf-8", "surrogateescape").replace(b"/", b"").replace(b"\0", b"")
    if raw and not raw.startswith(b"."):
        assert Selection((pattern_of_name(os.fsdecode(raw)),)).patterns_of(raw, b"") == (0,)


@cache
def _server() -> HttpServer:
    """One for all inputs; it ends with the process."""
    server = HttpServer([parse_listen("127.0.0.1:0")], MemoryServed())
    server.open()
    server.start()
    return server


def _http(text: str) -> None:
    """Whatever a client sends and then hangs up: an answer or none, but never one that speaks of a fault in fexp."""
    with connect(_server()) as client:
        client.sendall(text.encode("utf-8", "surrogateescape"))
        with suppress(OSError):  # it may have hung up first
            client.shutdown(socket.SHUT_WR)
        answer = read_to_end(client)
    assert not answer or (answer.startswith(b"HTTP/1.1 ") and answer[9:10] in b"234"), answer[:200]


TARGETS: dict[str, Callable[[str], object]] = {
    "listen": parse_listen,
    "web-config": lambda text: parse_web_config(text, "web.yml"),
    "gateway": _gateway,
    "accept": _accept,
    "http": _http,
    "selection": _selection,
    "settings": _settings,
    "names": _names,
    "one-name": _one_name,
    "mounts": lambda text: parse_mounts(text.encode("utf-8", "surrogateescape")),
}


def feed(name: str, text: str) -> None:
    """Give a text to a target. Anything but a SettingsError of one line is a finding."""
    try:
        TARGETS[name](text)
    except SettingsError as error:
        _is_one_line(error)


def _is_one_line(error: SettingsError) -> None:
    assert "\n" not in str(error), f"not one line: {error!r}"
