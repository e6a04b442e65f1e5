"""The outputs that there are. A new one is its module and one line here."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from fexp.config.output import OutputSettings
    from fexp.outputs import Output

OUTPUTS = {
    "textfile": "fexp.outputs.textfile:TextfileOutput",
    "gateway": "fexp.outputs.push.gateway:GatewayOutput",
    "remote_write": "fexp.outputs.push.remote_write:RemoteWriteOutput",
}
"""Module and class by kind. Names, because a one-shot imports only the output that it uses."""


def output_type(kind: str) -> type[Output]:
    """Return the class of an output."""
    module, _, name = OUTPUTS[kind].partition(":")
    return cast("type[Output]", getattr(import_module(module), name))


def settings_types() -> tuple[type[OutputSettings], ...]:
    """Return the settings classes of all outputs."""
    return tuple(output_type(kind).settings_type for kind in OUTPUTS)


def build_output(settings: OutputSettings) -> Output:
    """Return the output that these settings describe. Raise SettingsError."""
    return output_type(settings.kind)(settings)
