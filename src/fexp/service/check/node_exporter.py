"""The reader of the textfile: whether a running node_exporter reads that directory, may read the file, and is well."""

from __future__ import annotations

import http.client
import os
import re
import shlex
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from fexp.outputs.textfile import TextfileSettings
from fexp.service.check import processes
from fexp.service.check.finding import Finding, error, ok, warning
from fexp.service.check.neighbours import conflicts
from fexp.service.check.patience import HangsError, within
from fexp.service.check.reading import closed_to
from fexp.service.check.textfile import directory_of
from fexp.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fexp.service.check.setup import Setup

_SECONDS = 5.0
_ANSWER_BYTES_MAX = 64 << 20
_PROGRAMS = frozenset({"node_exporter", "node-exporter", "prometheus-node-exporter"})
_DIRECTORY = re.compile(r"-{2}collector\.textfile\.directory(?:=(.*))?")
_ADDRESS = re.compile(r"-{2}web\.listen-address(?:=(.*))?")
_PORT = 9100
_FILE = re.compile(rb'^node_textfile_mtime_seconds\{file="((?:[^"\\]|\\.)*)"\} (\S+)', re.MULTILINE)
_ERROR = re.compile(rb"^node_textfile_scrape_error (\S+)", re.MULTILINE)
_NOT_READ = "What fexp writes reaches nobody."


class Reading(NamedTuple):
    """What a node_exporter says of textfiles."""

    files: dict[str, float]
    """Modification times by path; very old versions have only names."""
    has_error: bool | None
    """None: it reads no textfiles at all."""


def check(setup: Setup) -> Iterator[Finding]:
    """Yield what keeps the numbers from reaching Prometheus by way of the file."""
    for settings in setup.settings.outputs:
        if isinstance(settings, TextfileSettings):
            yield from _of_file(settings, setup)


def _of_file(settings: TextfileSettings, setup: Setup) -> Iterator[Finding]:
    url = setup.asked.node_exporter
    process = _process(url)
    directories = _directories(process)
    directory = os.path.realpath(directory_of(settings))
    if not os.access(directory, os.R_OK | os.X_OK, effective_ids=True):
        return  # which the check of the file says
    yield from conflicts(settings, directory, setup)
    yield from _may_read(settings, directory, process)
    try:
        yield _of_reading(_ask(url), settings, url, directories)
    except HangsError:
        yield error(f"node_exporter at {url} does not answer within {_SECONDS:g} s", _NOT_READ, f"curl -m 10 {url}")
    except urllib.error.HTTPError as problem:
        with problem:
            text = one_line(problem.read(500).decode(errors="replace"))
        yield error(
            f"node_exporter at {url} answers {problem.code}: {text}",
            "Prometheus gets nothing of this host.",
            f"curl {url}",
        )
    except (OSError, ValueError, http.client.HTTPException) as problem:
        yield warning(
            f"no node_exporter answers at {url}: {getattr(problem, 'reason', problem)}",
            "Whether somebody reads the file cannot be known.",
            f"start it, or say where it serves: {setup.asked.origin('node_exporter')} URL",
        )


def _of_reading(reading: Reading, settings: TextfileSettings, url: str, configured: Sequence[str]) -> Finding:
    directory = os.path.realpath(directory_of(settings))
    mend = f"node_exporter --collector.textfile.directory={shlex.quote(directory)}"
    if reading.has_error is None:
        return error(f"node_exporter at {url} reads no textfiles", _NOT_READ, mend)
    mine = {name for name in os.listdir(directory) if name.endswith(".prom") and not name.startswith(".")}
    read = {path for path, at in reading.files.items() if _is_in(path, at, directory, mine)}
    is_configured = any(os.path.realpath(one) == directory for one in configured)
    if not read and not is_configured and (reading.files or mine or configured):
        others = sorted({os.path.dirname(path) for path in reading.files if os.path.dirname(path)} or set(configured))
        where = f", but {', '.join(others)}" if others else ""
        if others:
            mend = f"{settings.origin('file')} {shlex.quote(os.path.join(others[0], os.path.basename(settings.file)))}"
        return error(f"node_exporter at {url} does not read {directory}{where}", _NOT_READ, mend)
    if reading.has_error:
        return warning(
            f"node_exporter at {url} cannot read one of its textfiles",
            "What is in that file is missing; node_textfile_scrape_error is 1.",
            "journalctl -u prometheus-node-exporter -u node_exporter -g textfile",
        )
    if not read and not is_configured:
        return warning(
            f"node_exporter at {url} reads no file yet",
            f"Whether it reads {directory} cannot be known before there is one.",
            "check again while fexp runs",
        )
    return ok(f"node_exporter at {url} reads {directory}")


def _is_in(path: str, modified_at: float, directory: str, names: set[str]) -> bool:
    """Return whether a file that was read is one of the directory, which may have another path in a container."""
    parent, name = os.path.split(path)
    if parent and os.path.realpath(parent) == directory:
        return True
    if name not in names:
        return False
    try:
        return abs(os.stat(os.path.join(directory, name)).st_mtime - modified_at) < 1
    except OSError:
        return False


def _ask(url: str) -> Reading:
    """Return what it says. Raise HangsError, OSError, and ValueError or HTTPException for no URL or no answer."""

    def fetch() -> bytes:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=2 * _SECONDS) as answer:
            text: bytes = answer.read(_ANSWER_BYTES_MAX)
            return text

    text = within(_SECONDS, fetch)
    has_error = _ERROR.search(text)
    files = {os.fsdecode(re.sub(rb"\\(.)", rb"\1", path)): float(at) for path, at in _FILE.findall(text)}
    return Reading(files, None if has_error is None else float(has_error[1]) > 0)


def _process(url: str) -> int | None:
    """Return the node_exporter that serves there, as far as processes can be seen."""
    try:
        port = urlsplit(url).port or _PORT
    except ValueError:
        return None
    for process in processes.processes():
        words = processes.command_line(process)
        if words and os.path.basename(words[0]) in _PROGRAMS:
            addresses = _values(words, _ADDRESS) or [f":{_PORT}"]
            if any(address.endswith(f":{port}") for address in addresses):
                return process
    return None


def _directories(process: int | None) -> list[str]:
    return _values(processes.command_line(process), _DIRECTORY) if process is not None else []


def _values(words: Sequence[str], option: re.Pattern[str]) -> list[str]:
    values = []
    for number, word in enumerate(words):
        found = option.fullmatch(word)
        if found:
            values.append(found[1] if found[1] is not None else next(iter(words[number + 1 :]), ""))
    return values


def _may_read(settings: TextfileSettings, directory: str, process: int | None) -> Iterator[Finding]:
    reader = None if process is None else processes.identity(process)
    closed = closed_to(reader, directory, settings.mode, settings.file)
    if closed is None:
        return
    found = warning if reader is None else error  # who reads it may be of the group
    who = "other users" if reader is None else f"node_exporter (user {reader.user})"
    mend = f"chmod o+rx {shlex.quote(closed)}" if closed != settings.file else f"{settings.origin('mode')} 0644"
    why = (
        _NOT_READ
        if reader is not None
        else "Unless node_exporter runs as this user or as root, it cannot read the file."
    )
    yield found(f"{closed} is closed to {who}", why, mend)
