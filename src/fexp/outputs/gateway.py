"""The gateway output: one group of a Pushgateway, or a plain POST to an import URL."""

from __future__ import annotations

import base64
import json
import re
import socket
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from fexp.errors import OutputError, SettingsError
from fexp.labels import check_pairs, split_pairs
from fexp.names import one_line
from fexp.outputs.sender import Sender, parse_date
from fexp.outputs.text import CONTENT_TYPE, Labelled, render_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from fexp.outputs import Collects
    from fexp.outputs.endpoint import Endpoint

_GROUPS_LIMIT_BYTES = 64 * 1024 * 1024
"""The list of groups holds all metrics of the gateway, not only ours."""


class GatewayMode(StrEnum):
    """What the other side is."""

    PUSHGATEWAY = "pushgateway"
    IMPORT = "import"
    """Something that takes text at exactly the URL given, such as VictoriaMetrics. The key becomes labels of all
    series, as it has no groups, and nothing is ever deleted."""


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """Where to push and under which key. Made only when it makes sense, or a SettingsError says why."""

    endpoint: Endpoint
    job: str
    instance: str
    grouping: tuple[tuple[str, str], ...] = ()
    mode: GatewayMode = GatewayMode.PUSHGATEWAY

    @classmethod
    def parse(
        cls,
        endpoint: Endpoint,
        *,
        job: str = "fexp",
        instance: str | None = None,
        grouping: Sequence[str] = (),
        mode: str = "pushgateway",
        metric_labels: Iterable[str] = (),
    ) -> GatewaySettings:
        """Read what a person writes: grouping as NAME=VALUE, no instance for the host's name.

        ``metric_labels``: the label names of the series. A grouping label of that name would replace it.
        """
        pairs = split_pairs("--grouping", grouping)
        if mode not in set(GatewayMode):
            raise SettingsError(f"--gateway-mode {one_line(mode)}: pushgateway or import")
        instance = socket.gethostname() if instance is None else instance
        settings = cls(endpoint, job, instance, pairs, GatewayMode(mode))
        for name in metric_labels:
            if name in dict(settings.key):
                raise SettingsError(f"label {name}: on the series and in the gateway's key; rename one of them")
        return settings

    def __post_init__(self) -> None:
        is_gateway = self.mode is GatewayMode.PUSHGATEWAY
        if is_gateway and (self.endpoint.parts.query or "?" in self.endpoint.url):
            raise SettingsError(
                f"{self.endpoint.option} {self.endpoint.target}: a Pushgateway's URL has no query;"
                " leave it out, or say --gateway-mode import"
            )
        if not self.job:
            raise SettingsError("--job is empty; the gateway files every group under a job")
        check_pairs("--grouping", self.key, own=("job", "instance"))

    @property
    def key(self) -> tuple[tuple[str, str], ...]:
        """What names the group, job first."""
        return (("job", self.job), ("instance", self.instance), *self.grouping)


def grouping_path(key: Iterable[tuple[str, str]]) -> str:
    """Write a grouping key as a URL's path; what a URL might bend (``.``, ``/``, nothing) goes as base64."""
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

    name = "gateway"

    def __init__(
        self,
        settings: GatewaySettings,
        *,
        sender: Sender | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._sender = sender or Sender(settings.endpoint)
        self._wall_clock = wall_clock
        self.target = settings.endpoint.target
        self._group_url = self._url(grouping_path(settings.key))

    @property
    def place(self) -> str | None:
        """The group's URL. What is imported replaces nothing."""
        return self._group_url if self._settings.mode is GatewayMode.PUSHGATEWAY else None

    def check(self) -> None:
        """Say with a SettingsError which of the named files cannot be used."""
        self._settings.endpoint.check()

    def publish(self, source: Collects) -> None:
        """Replace the whole group, so that what ended here ends there."""
        headers = {"Content-Type": CONTENT_TYPE}
        if self._settings.mode is GatewayMode.IMPORT:
            labelled = Labelled(source, dict(self._settings.key))
            self._sender.send("POST", body=render_text(labelled), headers=headers)
        else:
            self._put(render_text(source), headers)

    def retract(self) -> None:
        """Delete the group. An import URL can only wait until its series are stale."""
        if self._settings.mode is not GatewayMode.IMPORT:
            self._sender.send("DELETE", self._group_url)

    def expire(self, older_than_seconds: float) -> tuple[Mapping[str, str], ...]:
        """Delete this job's groups that nobody pushed for so long, by the gateway's clock; returns their labels."""
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
        from fexp.outputs.wire import CLOSED

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
        return self._settings.endpoint.url.rstrip("/") + path


def _pushed_at(group: Mapping[str, Mapping[str, Sequence[Mapping[str, str]]]]) -> float:
    """When the group was last pushed, also if the gateway refused what came."""
    families = ("push_time_seconds", "push_failure_time_seconds")
    return max(float(group[family]["metrics"][0]["value"]) for family in families if family in group)
