"""The log: one line an event on stderr, each with its request's id; text for people, JSON for machines."""

import json
import logging.config
from datetime import UTC, datetime
from typing import Any

import structlog

from service.settings import LogFormat

# What every line gets, whichever library wrote it. Not the values of local variables, which may be a token or a score.
SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
PLAIN_TRACEBACK = structlog.dev.plain_traceback
REQUESTS = "service.requests"
# A value with one of these is shown in quotes, as structlog does.
QUOTED = frozenset(" \t=\r\n\"'")


class RequestRecord(logging.LogRecord):
    """What every request logs: that it was answered, how, and after how many milliseconds.

    A record of its own, since the general way takes longer than the rest of what the front does: it looks for the
    caller's line in the source, copies fields, and sends them through a dozen functions to be spelled.
    """

    def __init__(self, request_id: str, method: str, path: str, status: int, ms: float) -> None:
        super().__init__(REQUESTS, logging.INFO, "", 0, "request", (), None)
        self.request_id = request_id
        self.method = method
        self.path = path
        self.status = status
        self.ms = ms


class _Lines(structlog.stdlib.ProcessorFormatter):
    """The lines as text, of which none tells a terminal what to do; a request's by the short way."""

    def format(self, record: logging.LogRecord) -> str:
        if type(record) is not RequestRecord:
            return _printable(super().format(record))
        path = record.path
        return _printable(
            f"{_instant(record)} [info     ] request [{REQUESTS}] method={record.method} ms={record.ms}"
            f" path={path if QUOTED.isdisjoint(path) else repr(path)} request_id={record.request_id}"
            f" status={record.status}"
        )


def _printable(text: str) -> str:
    """Spell what cannot be printed as Python does, but line breaks and tabs, which a traceback has."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each in "\n\t" else each.encode("unicode_escape").decode() for each in text
    )


class _Objects(structlog.stdlib.ProcessorFormatter):
    """The lines as JSON; a request's by the short way."""

    def format(self, record: logging.LogRecord) -> str:
        if type(record) is not RequestRecord:
            return super().format(record)
        # Neither a method (RFC 9110, 9.1) nor a request's id (front.py) can hold what JSON would escape.
        return (
            f'{{"method": "{record.method}", "path": {json.dumps(record.path)}, "status": {record.status}, '
            f'"ms": {record.ms}, "event": "request", "request_id": "{record.request_id}", "level": "info", '
            f'"logger": "{REQUESTS}", "timestamp": "{_instant(record)}"}}'
        )


def _instant(record: logging.LogRecord) -> str:
    return f"{datetime.fromtimestamp(record.created, UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def configuration(form: LogFormat, level: str = "INFO") -> dict[str, Any]:
    """Give the configuration for logging.config.dictConfig; the server's worker processes take it over."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": f"{__name__}.formatter", "form": form}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {name: {"level": "WARNING"} for name in ("_granian", "granian.access", "httpx2", "yoyo")},
    }


def formatter(form: LogFormat) -> logging.Formatter:
    """Make the formatter of one line."""
    if form == "json":
        rendering: list[structlog.typing.Processor] = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ]
    else:
        rendering = [structlog.dev.ConsoleRenderer(colors=False, exception_formatter=PLAIN_TRACEBACK, pad_event_to=0)]
    lines = _Objects if form == "json" else _Lines
    return lines(
        foreign_pre_chain=SHARED,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
    )


def start(form: LogFormat) -> None:
    """Log from here on in the form given."""
    logging.config.dictConfig(configuration(form))
