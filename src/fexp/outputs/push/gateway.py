"""The gateway output: one group of a Pushgateway, or a plain POST to an import URL."""

from __future__ import annotations

import base64
import json
import re
import time
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

from fexp.config.labels import check_pairs, parse_pairs
from fexp.config.options import flag, option, repeatable
from fexp.config.values import one_of, parse_text
from fexp.errors import OutputError, SettingsError
from fexp.outputs.formats import Format
from fexp.outputs.pieces import join, join_gzip
from fexp.outputs.push.endpoint import Endpoint
from fexp.outputs.push.sender import Sender, parse_date
from fexp.outputs.text import text_pieces

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from fexp.config.output import OutputSettings
    from fexp.metrics import Scope
    from fexp.outputs import Collects

_GROUPS_LIMIT_BYTES = 64 * 1024 * 1024
"""The list of groups holds all metrics of the gateway, not only ours."""


class GatewayMode(StrEnum):
    """What the other side is."""

    PUSHGATEWAY = "pushgateway"
    IMPORT = "import"
    """Something that takes text at exactly the URL given, such as VictoriaMetrics. The key becomes labels of all
    series, as it has no groups, and nothing is ever deleted."""


class GatewaySettings(Endpoint):
    """Where to push and under which key. Made only when it makes sense, or a SettingsError says why."""

    kind: ClassVar = "gateway"
    prefix: ClassVar = "gateway"
    panel: ClassVar = "Pushgateway"

    url: str = option("gateway", parse_text, "http://127.0.0.1:9091", "The URL of the Pushgateway.", metavar="URL")
    grouping: tuple[tuple[str, str], ...] = repeatable(
        "grouping", parse_pairs, "Add a label to the group's key.", metavar="NAME=VALUE"
    )
    mode: GatewayMode = option(
        "-mode",
        one_of(GatewayMode),
        "pushgateway",
        "pushgateway, or import to POST to exactly the URL given.",
        metavar="MODE",
    )
    gzip: bool = flag("-gzip", "Compress what is pushed.")

    def validate(self) -> None:
        super().validate()
        if self.mode is GatewayMode.PUSHGATEWAY and (self.parts.query or "?" in self.url):
            raise SettingsError(
                f"{self.shown}: a Pushgateway's URL has no query;"
                f" leave it out, or say {self.origin('mode')} {GatewayMode.IMPORT}"
            )
        if not self.job:
            raise SettingsError(f"{self.origin('job')} is empty; the gateway files every group under a job")
        settable = {name: self.origin(name) for name in ("job", "instance")}
        check_pairs(self.origin("grouping"), self.key, settable)

    @property
    def added_labels(self) -> frozenset[str]:
        """The labels of the key: on all series of the group."""
        return frozenset(name for name, _ in self.key)

    def check_labels(self, names: Collection[str]) -> None:
        """Raise a SettingsError for a label of the key that would replace one of these."""
        for name, _ in self.key:
            if name in names:
                raise SettingsError(f"label {name}: on the series and in the gateway's key; rename one of them")

    @property
    def key(self) -> tuple[tuple[str, str], ...]:
        """The labels that name the group, job first."""
        return (("job", self.job), ("instance", self.instance), *self.grouping)


def grouping_path(key: Iterable[tuple[str, str]]) -> str:
    """Return a grouping key as a URL's path; what a URL might bend (``.``, ``/``, nothing) goes as base64."""
    path = "/metrics"
    for name, value in key:
        if re.fullmatch(r"[A-Za-z0-9_-]+", value):
            path += f"/{name}/{value}"
        else:
            encoded = base64.urlsafe_b64encode(value.encode()).decode("ascii")
            path += f"/{name}@base64/{encoded or '='}"
    return path


class GatewayOutput:
    """Keeps one group of a Pushgateway equal to the numbers."""

    settings_type: ClassVar[type[OutputSettings]] = GatewaySettings
    name = GatewaySettings.kind
    files: ClassVar[Mapping[str, str]] = {}
    dropped_snapshots: None = None

    def __init__(
        self,
        settings: GatewaySettings,
        *,
        sender: Sender | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._sender = sender or Sender(settings)
        self._wall_clock = wall_clock
        self.target = settings.target
        self._group_url = self._url(grouping_path(settings.key))

    @property
    def scopes(self) -> Collection[Scope]:
        """All families."""
        from fexp.metrics import EVERYWHERE

        return EVERYWHERE

    @property
    def place(self) -> str | None:
        """The group's URL. What is imported replaces nothing."""
        return self._group_url if self._settings.mode is GatewayMode.PUSHGATEWAY else None

    def check(self) -> None:
        """Raise a SettingsError for a named file that cannot be used."""
        self._settings.check()

    def prepare(self) -> None:
        """Have the modules and the thread to send with."""
        self._sender.prepare()

    def publish(self, source: Collects) -> None:
        """Replace the whole group, so that what ended here ends there."""
        is_import = self._settings.mode is GatewayMode.IMPORT
        pieces = text_pieces(source, dict(self._settings.key) if is_import else {})
        headers = {"Content-Type": Format.TEXT.content_type}
        if self._settings.gzip:
            headers["Content-Encoding"] = "gzip"
        body = join_gzip(pieces) if self._settings.gzip else join(pieces)
        if is_import:
            self._sender.send("POST", body=body, headers=headers)
        else:
            self._put(body, headers)

    def retract(self) -> None:
        """Delete the group. An import URL can only wait until its series are stale."""
        if self._settings.mode is not GatewayMode.IMPORT:
            self._sender.send("DELETE", self._group_url)

    def expire(self, older_than_seconds: float) -> tuple[Mapping[str, str], ...]:
        """Delete this job's groups that nobody pushed for so long, by the gateway's clock. Return their labels."""
        job = self._settings.job
        groups, now = self._groups()
        limit_at = now - older_than_seconds
        expired = [labels for labels, at in groups if labels.get("job") == job and at < limit_at]
        for labels in expired:
            rest = [(name, value) for name, value in labels.items() if name != "job"]
            self._sender.send("DELETE", self._url(grouping_path([("job", job), *rest])))
        return tuple(expired)

    def hurry(self) -> None:
        """Wait for a moment only before a request is tried again."""
        self._sender.hurry()

    def close(self) -> None:
        """End whatever is under way."""
        self._sender.close()

    def _put(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Replace the group. Pushgateway 1.11 falls over its own log line about a push that it refuses."""
        from fexp.outputs.push.wire import CLOSED

        try:
            self._sender.send("PUT", self._group_url, body=body, headers=headers)
        except OutputError as error:
            if CLOSED not in str(error):
                raise
            raise OutputError(
                f"{error}; Pushgateway 1.11 does that where others answer 400: see its log, and whether another group"
                " has the same metric with another type",
                retry_after_seconds=error.retry_after_seconds,
                final=error.final,
            ) from error

    def _groups(self) -> tuple[list[tuple[dict[str, str], float]], float]:
        """Ask the gateway for the labels of its groups and when each was last pushed; and for its time."""
        url = self._url("/api/v1/metrics")
        answer = self._sender.send("GET", url, answer_limit_bytes=_GROUPS_LIMIT_BYTES)
        if answer.cut:
            raise OutputError(f"{self.target}: its list of groups is too long to read", final=True)
        now = parse_date(answer.headers.get("Date", ""))
        try:
            groups = [(dict(group["labels"]), _pushed_at(group)) for group in json.loads(answer.body)["data"]]
            return groups, self._wall_clock() if now is None else now
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise OutputError(f"{self.target}: gives no list of groups; is it a Pushgateway?", final=True) from error

    def _url(self, path: str) -> str:
        return self._settings.url.rstrip("/") + path


def _pushed_at(group: Mapping[str, Mapping[str, Sequence[Mapping[str, str]]]]) -> float:
    """Return when the group was last pushed, also if the gateway refused what came."""
    families = ("push_time_seconds", "push_failure_time_seconds")
    return max(float(group[family]["metrics"][0]["value"]) for family in families if family in group)
