"""The log: one line an event, in either form, with what is bound to the request and nothing that is not to be told."""

import json
import logging
import sys
from datetime import UTC, datetime

import pytest
import structlog

from service.logs import REQUESTS, RequestRecord, configuration, formatter
from service.settings import LogFormat


def record(message: str, *arguments: object, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("service.somewhere", logging.WARNING, __file__, 1, message, arguments, None)
    made.__dict__.update(extra)
    return made


def failed() -> logging.LogRecord:
    def fail(token: str) -> None:
        raise ValueError(f"{len(token)} letters\nin two lines")

    try:
        fail("geheim")
    except ValueError:
        return logging.LogRecord("service", logging.ERROR, __file__, 1, "unexpected error", (), sys.exc_info())
    raise AssertionError


def test_json_is_one_object_a_line() -> None:
    with structlog.contextvars.bound_contextvars(request_id="the-one"):
        line = formatter("json").format(record("served %s\n%d", "näme", 2, path='/a"b', status=200))
    assert "\n" not in line
    entry = json.loads(line)
    assert entry.pop("timestamp").endswith("Z")
    assert entry == {
        "event": "served näme\n2",
        "level": "warning",
        "logger": "service.somewhere",
        "path": '/a"b',
        "request_id": "the-one",
        "status": 200,
    }


def test_text_says_the_same() -> None:
    with structlog.contextvars.bound_contextvars(request_id="the-one"):
        line = formatter("text").format(record("served %s", "all", path="/a", status=200))
    assert line.split("Z ", 1)[1] == (
        "[warning  ] served all [service.somewhere] path=/a request_id=the-one status=200"
    )


def test_a_traceback_in_json_is_still_one_line() -> None:
    line = formatter("json").format(failed())
    assert "\n" not in line
    lines = json.loads(line)["exception"].splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-2:] == ["ValueError: 6 letters", "in two lines"]


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_traceback_has_no_values_of_variables(form: LogFormat) -> None:
    shown = formatter(form).format(failed())
    assert "ValueError: 6 letters" in shown
    assert "in fail" in shown
    assert "token = 'geheim'" not in shown


def test_what_cannot_be_json_is_shown_all_the_same() -> None:
    entry = json.loads(formatter("json").format(record("odd", value={1, 2}, bad="\udcff")))
    assert entry["value"] == "{1, 2}"


def test_every_library_writes_through_the_one_handler() -> None:
    made = configuration("json")
    assert made["root"] == {"handlers": ["stderr"], "level": "INFO"}
    assert made["disable_existing_loggers"] is False
    assert {name for name, settings in made["loggers"].items() if settings == {"level": "WARNING"}} == {
        "_granian",
        "granian.access",
        "httpx2",
        "yoyo",
    }


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize("odd", ["\x1b", "\x07", "\x00", "\x0b", "\x7f", "\x85", "\x9b", "\u2028", "\u202e", "\udcff"])
def test_no_line_tells_a_terminal_what_to_do(form: LogFormat, odd: str) -> None:
    path = f"/a{odd}[2J"
    for each in (RequestRecord("the-one", "GET", path, 404, 1.5), record(f"served {path}", path=path)):
        line = formatter(form).format(each)
        assert line.isprintable()
        assert f"/a{odd.encode('unicode_escape').decode()}[2J" in line or json.loads(line)["path"] == path


def test_of_what_cannot_be_printed_a_traceback_keeps_its_line_breaks_and_tabs() -> None:
    line = formatter("text").format(record("first\n\tsecond\r\x1b"))
    assert "first\n\tsecond\\r\\x1b" in line


ODD_PATHS = ["/a", "/a b", "/a=b", '/"', "/it's", "/ä", "/\udcff", "/\n", "/\\", "/\x00", "/\x1b[2J", "/\u2028", ""]


@pytest.mark.parametrize("path", ODD_PATHS)
@pytest.mark.parametrize("form", ["json", "text"])
def test_a_requests_line_is_the_one_that_the_general_way_would_write(form: LogFormat, path: str) -> None:
    short = RequestRecord("the-one", "GET", path, 200, 1.5)
    general = logging.LogRecord(REQUESTS, logging.INFO, "", 0, "request", (), None)
    general.__dict__ |= {"method": "GET", "path": path, "status": 200, "ms": 1.5, "request_id": "the-one"}
    lines = [formatter(form).format(each) for each in (short, general)]
    if form == "json":
        stamped = [json.loads(line) for line in lines]
        stamps = [each.pop("timestamp") for each in stamped]
        assert stamped[0] == stamped[1]
    else:
        stamps = [line.split(" ", 1)[0] for line in lines]
        assert lines[0].removeprefix(stamps[0]) == lines[1].removeprefix(stamps[1])
    made = datetime.fromtimestamp(short.created, UTC)
    assert stamps[0] == f"{made:%Y-%m-%dT%H:%M:%S.%f}Z"
    assert len(stamps[1]) == len(stamps[0])
