"""The log: one line an event on stderr, each with its request's id; text for people, JSON for machines."""

import logging.config
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
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=SHARED,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
    )


def start(form: LogFormat) -> None:
    """Log from here on in the form given."""
    logging.config.dictConfig(configuration(form))
