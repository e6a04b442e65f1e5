"""What each command does: options become settings, settings become work. Heavy parts are imported by who needs them."""

from __future__ import annotations

import os
import shlex
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from fexp.cli.help import GroupedCommand
from fexp.cli.options import (
    GATEWAY_ENDPOINT,
    REMOTE_WRITE_ENDPOINT,
    CompressionOptions,
    CronOptions,
    EndpointOptions,
    EngineOptions,
    GroupOptions,
    PushOptions,
    ScanOptions,
    SelectionOptions,
    Taking,
    WatchOptions,
    WriteOptions,
    given,
    takes,
)
from fexp.errors import FexpError, MissingError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from fexp.engine import EngineSettings
    from fexp.files.selection import Folder
    from fexp.metrics import Scope
    from fexp.outputs import Output
    from fexp.outputs.push.endpoint import Endpoint
    from fexp.outputs.push.gateway import GatewayOutput
    from fexp.outputs.textfile import TextfileOutput

_EPILOG = "Every option also reads FEXP_OPTION from the environment. Full manual: the README."


@takes(
    SelectionOptions, WatchOptions, GroupOptions, GATEWAY_ENDPOINT, CompressionOptions, REMOTE_WRITE_ENDPOINT,
    EngineOptions,
)  # fmt: skip
def watch(
    folders: list[str],
    selection: SelectionOptions,
    options: WatchOptions,
    group: GroupOptions,
    gateway: EndpointOptions,
    compression: CompressionOptions,
    remote_write: EndpointOptions,
    watching: EngineOptions,
) -> None:
    """Follow folders for ever and feed every output that is asked for.

    With none asked for, it serves http://127.0.0.1:9877/metrics. Stop it with Ctrl-C or SIGTERM.
    """
    from fexp.cli.logs import set_up_logging
    from fexp.config.settings import parse_duration
    from fexp.outputs.http import parse_listen
    from fexp.service.daemon import Daemon, WatchSettings
    from fexp.service.locks import alone

    set_up_logging(watching.log_level)
    receivers = given(gateway, "gateway_") | given(remote_write, "remote_write_")
    _warn_of_idle(given(options) | given(group) | given(compression) | receivers)
    chosen = _folders(folders, selection)
    outputs: list[Output] = []
    if options.textfile is not None:
        textfile = _textfile(options.textfile, options.textfile_mode)
        _refuse_counting_itself(textfile, chosen)
        outputs.append(textfile)
    if options.gateway is not None:
        outputs.append(_gateway(options.gateway, group, gateway, compression, selection))
    if options.remote_write is not None:
        outputs.append(_remote_write(options, group, remote_write, selection))
    listens = [parse_listen(text) for text in options.listen]
    if not outputs and not listens:
        listens = [parse_listen("127.0.0.1:9877")]
    if options.web_config is not None and not listens:
        raise SettingsError("--web-config says how to serve, but nothing is served: add --listen")
    settings = WatchSettings(
        folders=chosen,
        engine=_engine_settings(watching),
        outputs=tuple(outputs),
        listens=tuple(listens),
        web_config=options.web_config,
        heartbeat_seconds=parse_duration("--heartbeat", options.heartbeat),
        min_interval_seconds=parse_duration("--min-interval", options.min_interval, zero=True),
        keep_on_exit=options.keep_on_exit,
    )
    _check(outputs, alone=len(outputs) + len(listens) == 1)
    with ExitStack() as locks:
        for output in outputs:
            locks.enter_context(alone(output.place, shown=output.target))
        Daemon(settings).run()


@takes(
    SelectionOptions, PushOptions, GroupOptions, GATEWAY_ENDPOINT, CompressionOptions, CronOptions,
    folders_required=False,
)  # fmt: skip
def push(
    folders: list[str],
    selection: SelectionOptions,
    options: PushOptions,
    group: GroupOptions,
    gateway: EndpointOptions,
    compression: CompressionOptions,
    cron: CronOptions,
) -> int:
    """Look once, push to a Pushgateway, exit: for cron.

    Prints nothing when all went well; else one line, and the exit status is 1.
    """
    from fexp.config.settings import parse_duration
    from fexp.metrics import EVERYWHERE

    with _in_time(cron) as splay_seconds:
        output = _gateway(options.gateway, group, gateway, compression, selection)
        if not (options.delete or options.expire is not None):
            return _deliver(output, _folders(folders, selection), splay_seconds, EVERYWHERE)
        if folders:
            raise SettingsError("--delete and --expire take no FOLDER: they only remove groups")
        if output.place is None:
            raise SettingsError("--delete and --expire need a Pushgateway: an import URL has no groups")
        older_than_seconds = parse_duration("--expire", options.expire) if options.expire is not None else None
        with _in_turn(output, splay_seconds):
            if options.delete:
                output.retract()
            if older_than_seconds is not None:
                output.expire(older_than_seconds)
    return 0


@takes(SelectionOptions, WriteOptions, CronOptions)
def write(folders: list[str], selection: SelectionOptions, options: WriteOptions, cron: CronOptions) -> int:
    """Look once, write a file for node_exporter's textfile collector, exit: for cron.

    Prints nothing when all went well; else one line, and the exit status is 1.
    """
    from fexp.metrics import TEXTFILE_SCOPES

    if options.textfile is None:
        raise SettingsError("--textfile FILE.prom is missing: name a file in node_exporter's textfile directory")
    with _in_time(cron) as splay_seconds:
        output = _textfile(options.textfile, options.textfile_mode)
        return _deliver(output, _folders(folders, selection), splay_seconds, TEXTFILE_SCOPES)


@takes(SelectionOptions, ScanOptions)
def scan(folders: list[str], selection: SelectionOptions, options: ScanOptions) -> int:
    """Look once and print what is there: for people."""
    from fexp.cli.printing import FORMATS
    from fexp.service.oneshot import look_at_all

    name = options.format or ("table" if sys.stdout.isatty() else "prom")
    if name not in FORMATS:
        raise SettingsError(f"--format {name!r} is not known: {', '.join(FORMATS)}")
    snapshot, problems = look_at_all(_folders(folders, selection))
    FORMATS[name](snapshot)
    if problems:
        raise FexpError("; ".join(problems))
    return 0


def _folders(paths: list[str], options: SelectionOptions) -> tuple[Folder, ...]:
    from fexp.config.settings import build_folders, parse_labels

    if not paths:
        raise SettingsError("FOLDER is missing: name at least one folder to look at")
    return build_folders(
        paths,
        extensions=options.ext,
        matches=options.match,
        excludes=options.exclude,
        recursive=options.recursive,
        max_depth=options.max_depth,
        hidden=options.hidden,
        follow_symlinks=options.follow_symlinks,
        ignore_case=options.ignore_case,
        labels=parse_labels(options.label),
    )


def _warn_of_idle(options: set[str]) -> None:
    """Tell of options whose output is not asked for. No mistake: an environment file may serve several units."""
    from logging import getLogger

    for option in sorted(options):
        for output in ("--textfile", "--gateway", "--remote-write"):
            belongs = option.startswith(f"{output}-") or (output, option) == ("--gateway", "--grouping")
            if belongs and output not in options:
                getLogger("fexp").warning("%s has no effect without %s", option, output)


def _refuse_counting_itself(textfile: TextfileOutput, folders: tuple[Folder, ...]) -> None:
    """A textfile that counts is changed by being written, which is a reason to write it, for ever."""
    for folder in folders:
        real_folder = os.path.realpath(folder.path)
        excludes = [
            f"--exclude {shlex.quote(glob)}"
            for path, glob in textfile.paths.items()
            if folder.selection.counts(os.fsencode(os.path.realpath(path)), real_folder)
        ]
        if excludes:
            raise SettingsError(
                f"--textfile {textfile.target} would count as a file of {folder.label}, and each writing as a change:"
                f" write it elsewhere, or add {' '.join(excludes)}"
            )


def _check(outputs: list[Output], *, alone: bool) -> None:
    """Refuse outputs that cannot deliver. Beside others, what is only missing is tried again instead."""
    for output in outputs:
        try:
            output.check()
        except MissingError:
            if alone:
                raise


def _deliver(output: Output, folders: tuple[Folder, ...], splay_seconds: float, scopes: Collection[Scope]) -> int:
    """Look and deliver; whatever went wrong is one FexpError. What could be read is delivered."""
    from fexp.metrics import FexpCollector
    from fexp.service.oneshot import look_at_all

    with _in_turn(output, splay_seconds):
        snapshot, problems = look_at_all(folders)
        try:
            output.publish(FexpCollector(lambda: snapshot, scopes))
        except FexpError as error:  # the deadline's, too
            problems.append(str(error))
    if problems:
        raise FexpError("; ".join(problems))
    return 0


@contextmanager
def _in_time(cron: CronOptions) -> Iterator[float]:
    """Run the block within its deadline; it is told the splay, in seconds."""
    from fexp.cli.messages import print_error
    from fexp.config.settings import parse_duration
    from fexp.service.deadline import deadline

    splay_seconds = parse_duration("--splay", cron.splay, zero=True)
    deadline_seconds = parse_duration("--deadline", cron.deadline)
    if splay_seconds >= deadline_seconds:
        raise SettingsError(f"--splay {cron.splay} leaves no time before --deadline {cron.deadline}: give more")
    with deadline(deadline_seconds, print_error):
        yield splay_seconds


@contextmanager
def _in_turn(output: Output, splay_seconds: float) -> Iterator[None]:
    """Run the block alone at the output's place, after the splay."""
    from fexp.service.deadline import splay
    from fexp.service.locks import alone

    with alone(output.place, shown=output.target):
        output.check()
        splay(splay_seconds)
        yield


def _engine_settings(options: EngineOptions) -> EngineSettings:
    from fexp.config.settings import parse_buckets, parse_duration
    from fexp.engine import EngineSettings
    from fexp.files.state import DEFAULT_DWELL_BOUNDS_SECONDS
    from fexp.model import Backend

    if options.backend != "auto" and options.backend not in set(Backend):
        raise SettingsError(f"--backend {options.backend!r} is not known: auto, {', '.join(Backend)}")
    return EngineSettings(
        backend=None if options.backend == "auto" else Backend(options.backend),
        rescan_seconds=parse_duration("--rescan", options.rescan),
        poll_interval_seconds=parse_duration("--poll-interval", options.poll_interval),
        dwell_bounds_seconds=(
            parse_buckets("--dwell-buckets", options.dwell_buckets)
            if options.dwell_buckets
            else DEFAULT_DWELL_BOUNDS_SECONDS
        ),
    )


def _textfile(path: str, mode: str) -> TextfileOutput:
    from fexp.outputs.textfile import TextfileOutput

    try:
        bits = int(mode, 8)
    except ValueError:
        raise SettingsError(f"--textfile-mode {mode!r} is no file mode: write it in octal, such as 0644") from None
    return TextfileOutput(path, mode=bits)


def _gateway(
    url: str,
    group: GroupOptions,
    options: EndpointOptions,
    compression: CompressionOptions,
    selection: SelectionOptions,
) -> GatewayOutput:
    from fexp.outputs.push.gateway import GatewayOutput, GatewaySettings

    settings = GatewaySettings.parse(
        _endpoint(url, "--gateway", options, insecure=group.insecure, gzip=compression.gateway_gzip),
        job=group.job,
        instance=group.instance,
        grouping=group.grouping,
        mode=group.gateway_mode,
        metric_labels=_metric_labels(selection),
    )
    return GatewayOutput(settings)


def _remote_write(
    options: WatchOptions, group: GroupOptions, endpoint: EndpointOptions, selection: SelectionOptions
) -> Output:
    from fexp.outputs.push.remote_write import RemoteWriteOutput, RemoteWriteSettings

    assert options.remote_write is not None
    settings = RemoteWriteSettings.parse(
        _endpoint(options.remote_write, "--remote-write", endpoint, insecure=group.insecure),
        job=group.job,
        instance=group.instance,
        external_labels=options.remote_write_label,
        metric_labels=_metric_labels(selection),
    )
    return RemoteWriteOutput(settings)


def _metric_labels(selection: SelectionOptions) -> tuple[str, ...]:
    from fexp.config.settings import OWN_LABELS, parse_labels

    return (*sorted(OWN_LABELS), *parse_labels(selection.label))


def _endpoint(url: str, option: str, options: EndpointOptions, *, insecure: bool, gzip: bool = False) -> Endpoint:
    from fexp.config.settings import parse_duration
    from fexp.outputs.push.endpoint import Endpoint

    secrets = "FEXP_" + option.strip("-").upper().replace("-", "_")
    return Endpoint(
        url,
        option=option,
        user=options.user,
        password=os.environ.get(f"{secrets}_PASSWORD") or None,
        password_file=options.password_file,
        token=os.environ.get(f"{secrets}_TOKEN") or None,
        token_file=options.token_file,
        ca_file=options.ca_file,
        cert_file=options.cert_file,
        key_file=options.key_file,
        insecure=insecure,
        gzip=gzip,
        deadline_seconds=parse_duration(f"{option}-deadline", options.deadline),
    )


COMMANDS: dict[str, Taking] = {"watch": watch, "push": push, "write": write, "scan": scan}


def _print_version(wanted: bool) -> None:  # typer gives the flag's value so
    if wanted:
        from fexp import __version__

        print(f"fexp {__version__}")
        raise typer.Exit


def _fexp(
    version: Annotated[
        bool,
        typer.Option("--version", "-V", help="Print the version and exit.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Watch folders and tell Prometheus what waits in them, at once."""


def build_app(only: str | None = None) -> typer.Typer:
    """Build the command line, or the part of it that one command needs: a one-shot does not pay for the others."""
    app = typer.Typer(
        name="fexp",
        help=_fexp.__doc__,
        epilog="Example: fexp watch /data --ext txt, then look at http://127.0.0.1:9877",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"max_content_width": 110, "help_option_names": ["-h", "--help"]},
    )
    app.callback()(_fexp)
    for name, taking in COMMANDS.items():
        if only in (None, name):
            app.command(name, cls=GroupedCommand, epilog=_EPILOG)(taking.for_typer())
    return app
