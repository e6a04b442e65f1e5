"""An output as somebody would add it: its settings, its class, and a line in the mapping."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from fexp.config.options import option, repeatable
from fexp.config.output import OutputSettings
from fexp.config.values import parse_duration, parse_text
from fexp.metrics import TEXTFILE_SCOPES
from fexp.outputs.text import render_text

if TYPE_CHECKING:
    from fexp.outputs import Collects

DELIVERED: dict[str, list[bytes]] = {}
"""What was delivered, by place."""


class ToySettings(OutputSettings):
    """Where to put it."""

    kind: ClassVar = "toy"
    prefix: ClassVar = "toy"
    panel: ClassVar = "Toys"

    box: str = option("toy", parse_text, "", "The box to put it in.", metavar="BOX")
    patience_seconds: float = option("-patience", parse_duration, "3s", "How long to wait.", metavar="DURATION")
    notes: tuple[str, ...] = repeatable("-note", lambda _, texts: texts, "Something to note.", metavar="TEXT")


class ToyOutput:
    """Keeps all that was delivered."""

    settings_type: ClassVar[type[OutputSettings]] = ToySettings
    name = ToySettings.kind
    scopes = TEXTFILE_SCOPES
    files: ClassVar[dict[str, str]] = {}
    dropped_snapshots = 7

    def __init__(self, settings: ToySettings) -> None:
        self.target = self.place = settings.box
        DELIVERED[self.place] = []

    def check(self) -> None: ...

    def prepare(self) -> None: ...

    def publish(self, source: Collects) -> None:
        DELIVERED[self.place].append(render_text(source))

    def retract(self) -> None:
        DELIVERED[self.place].append(b"")

    def hurry(self) -> None: ...

    def close(self) -> None: ...
