"""Log lines as the Prometheus world writes them: logfmt on standard error."""

from __future__ import annotations

import json
import logging
import os
import re
import time
from typing import TYPE_CHECKING

from fexp.cli.messages import print_error

if TYPE_CHECKING:
    from fexp.config.settings import LoggingSettings

_PLAIN = re.compile(r"[^\s\"=\\]+")


class _Logfmt(logging.Formatter):
    def __init__(self, *, with_time: bool) -> None:
        super().__init__()
        self._with_time = with_time

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        if record.exc_info:
            message += "\n" + self.formatException(record.exc_info)
        if _PLAIN.fullmatch(message) and message.isprintable():
            shown = message
        else:
            quoted = json.dumps(message, ensure_ascii=False)
            shown = "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in quoted)
        line = f"level={record.levelname.lower()} msg={shown}"
        if self._with_time:
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            line = f"ts={stamp}.{int(record.msecs):03d}Z {line}"
        return line


def set_up_logging(settings: LoggingSettings) -> None:
    """Log to standard error; the journal has times of its own."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Logfmt(with_time="JOURNAL_STREAM" not in os.environ))
    logger = logging.getLogger("fexp")
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(settings.log_level.upper())


class _PlainLines(logging.Handler):
    """Prints what goes wrong as a one-shot does; the same in other numbers only once."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._printed: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        line = record.getMessage()
        kind = re.sub(r"[0-9]+", "", line)
        if kind not in self._printed:
            self._printed.add(kind)
            print_error(line)


def log_plain_lines() -> None:
    """Log what goes wrong as plain lines on standard error."""
    logger = logging.getLogger("fexp")
    logger.handlers = [_PlainLines()]
    logger.propagate = False
