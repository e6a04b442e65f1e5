"""The status page: one HTML document without anything from elsewhere, fit for a phone and for the dark."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from html import escape
from typing import TYPE_CHECKING

from fexp import __version__
from fexp.text import human_age, human_bytes, visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fexp.model import DeliverySnapshot, FolderSnapshot, FolderStatus, GroupSnapshot, Snapshot

_STYLE = """
:root{color-scheme:light dark;--line:#8884;--soft:#8881;--good:#0a7d33;--bad:#c62828}
@media(prefers-color-scheme:dark){:root{--good:#5fd38d;--bad:#ff8a80}}
body{font:16px/1.45 system-ui,sans-serif;margin:0 auto;max-width:72rem;padding:1rem}
h1{font-size:1.3rem;margin:0 0 .2rem}p{margin:.4rem 0}nav a{margin-right:1rem;white-space:nowrap}
table{border-collapse:collapse;width:100%;margin-top:1rem}
th,td{padding:.4rem .6rem;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
th{font-weight:600}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
td{overflow-wrap:anywhere}tbody tr:hover{background:var(--soft)}
.up{color:var(--good)}.down{color:var(--bad);font-weight:600}td.down{min-width:15rem}
@media(max-width:60rem){thead{display:none}
tr{display:flex;flex-direction:column;padding:.5rem 0;border-bottom:1px solid var(--line)}
td,td.n{display:grid;grid-template-columns:6rem 1fr;border:0;padding:.1rem 0;text-align:left}td:empty{display:none}
td::before{content:attr(data-label);color:CanvasText;opacity:.7;font-weight:400}
td[data-label=State]{order:-1}td[data-label=Folder]{order:-2;display:block;font-weight:600}
td[data-label=Folder]::before{content:none}}
"""

_SCRIPT = """
const every = 5000;
async function refresh() {
  if (document.visibilityState !== "visible") return;
  try {
    const answer = await fetch(location.href, {cache: "no-store"});
    if (!answer.ok) throw new Error(answer.status);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
    document.querySelector("main").replaceWith(fresh);
    document.getElementById("lost").hidden = true;
  } catch {
    document.getElementById("lost").hidden = false;
  }
}
setInterval(refresh, every);
document.addEventListener("visibilitychange", refresh);
"""


def _source(text: str) -> str:
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src {_source(_STYLE)}; script-src {_source(_SCRIPT)}; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Allows exactly the one style and the one script above."""

_PATHS = (
    ("metrics", "Metrics"),
    ("api/v1/folders", "Folders as JSON"),
    ("api/v1/files", "Oldest files as JSON"),
    ("api/v1/metadata", "Metadata"),
    ("api/v1/events", "Events"),
    ("api/v1/sd", "Service discovery"),
    ("-/ready", "Ready"),
    ("-/healthy", "Healthy"),
)
_COLUMNS = ("Folder", "Pattern", "Files", "Size", "Oldest", "Arrivals", "Backend", "State")
_NUMBERS = {"Files", "Size", "Oldest", "Arrivals"}


def render_page(snapshot: Snapshot, statuses: Sequence[FolderStatus], now: float) -> bytes:
    """Return the page, problems first. Names are escaped, for the browser and for a terminal; ``now`` is Unix time."""
    by_folder = {status.folder: status for status in statuses}
    folders = sorted(snapshot.folders, key=lambda folder: folder.up)
    rows = "".join(_row(cells) for folder in folders for cells in _cells(folder, by_folder, now))
    deliveries = sorted(snapshot.deliveries, key=lambda delivery: not delivery.is_failing)
    outputs = "".join(_output(delivery, now) for delivery in deliveries)
    head = "".join(f"<th{_kind(column)}>{column}</th>" for column in _COLUMNS)
    links = " ".join(f'<a href="{path}">{label}</a>' for path, label in _PATHS)
    files = sum(group.files for folder in snapshot.folders if folder.up for group in folder.groups)
    document = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>fexp</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<link rel="icon" href="data:,"><style>{_STYLE}</style></head><body>'
        f"<h1>fexp {escape(__version__)}</h1><p>Watches folders and tells Prometheus what waits in them.</p>"
        f'<nav>{links}</nav><p id="lost" class="down" hidden>fexp does not answer.</p><main>'
        f"<p>{_grouped(files)} files; {_up(sum(folder.up for folder in folders), len(folders))}</p>"
        f"{outputs}<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></main>"
        f"<script>{_SCRIPT}</script></body></html>\n"
    )
    return document.encode("utf-8", "replace")


def _up(up: int, folders: int) -> str:
    text = f"{up} of {folders} folders up"
    return text if up == folders else f'<span class="down">{text}</span>'


def _output(delivery: DeliverySnapshot, now: float) -> str:
    latest = delivery.last_delivery_at
    text = f"{delivery.output}: " + (
        "no delivery yet" if latest is None else f"delivered {human_age(now - latest)} ago"
    )
    if not delivery.is_failing:
        return f"<p>{escape(text)}</p>"
    return f'<p class="down">{escape(text)}; the latest try failed</p>'


def _cells(folder: FolderSnapshot, statuses: dict[str, FolderStatus], now: float) -> Iterator[tuple[str, ...]]:
    status = statuses.get(folder.folder)
    backend = folder.backend.value if folder.backend else "none"
    state = _state(folder, status)
    name = visible(folder.folder)
    if not folder.groups:
        yield (name, "", "", "", "", "", backend, state)
    for group in folder.groups:
        numbers = _numbers(group, now) if folder.up else ("", "", "")
        arrivals = _grouped(group.flow.arrivals) if group.flow else ""
        yield (name, visible(group.title), *numbers, arrivals, backend, state)


def _state(folder: FolderSnapshot, status: FolderStatus | None) -> str:
    if status and not status.looked:
        return f"first look: {_grouped(status.files_seen)} files so far"
    if folder.up:
        return "up"
    return f"down: {visible(status.problem)}" if status and status.problem else "down"


def _numbers(group: GroupSnapshot, now: float) -> tuple[str, str, str]:
    oldest = group.values["oldest_modified_at"]
    return _grouped(group.files), human_bytes(group.size_bytes), "" if oldest is None else human_age(now - oldest)


def _row(cells: tuple[str, ...]) -> str:
    return "<tr>" + "".join(_cell(column, text) for column, text in zip(_COLUMNS, cells, strict=True)) + "</tr>"


def _cell(column: str, text: str) -> str:
    kind = _kind(column)
    if column == "State":
        kind = ' class="up"' if text == "up" else ' class="down"'
    shown = escape(text)
    if column == "Folder":
        shown = shown.replace("/", "/<wbr>")  # a long path breaks there first
    return f'<td{kind} data-label="{column}">{shown}</td>'


def _kind(column: str) -> str:
    return ' class="n"' if column in _NUMBERS else ""


def _grouped(number: float) -> str:
    return f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
