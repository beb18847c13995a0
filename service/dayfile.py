"""Files of many people's days: CSV, NDJSON, or one JSON list; a line at a time, whatever the file's size.

A line is what may be wrong on its own: it is reported and left out, and the lines after it are read all the same.
"""

import codecs
import csv
import datetime as dt
import json
import re
from bisect import insort
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, BinaryIO, Literal, cast, get_args

import msgspec
from msgspec import Struct

from service.administrator import AdministratorError
from service.patterns.analysis import Day

Format = Literal["csv", "json", "ndjson"]
FORMATS: tuple[Format, ...] = get_args(Format)
SUFFIXES: dict[str, Format] = {".csv": "csv", ".json": "json", ".ndjson": "ndjson", ".jsonl": "ndjson"}

COLUMNS = ("user", "date", "energy", "focus", "fulfillment")
SCORES = {str(score): score for score in range(101)}
LONGEST = 65_536  # bytes of a line, characters of an item: what is longer is never held in memory
BLOCK = 1_048_576
SPACES = re.compile(r"[ \t\r\n]*")
MOST_SHOWN = 60  # characters of what a file says, in a sentence about it
NOT_UTF_8 = "not UTF-8"


class DayFileError(AdministratorError):
    """A file of days cannot be read at all, or not beyond some line; the message says why."""

    def __init__(self, sentence: str, line: int | None = None) -> None:
        super().__init__(sentence)
        self.line = line


class GivenDay(Day, frozen=True, forbid_unknown_fields=True, gc=False):
    """One line: a day, and whose, by e-mail address or id. The scores are checked as an HTTP caller's are."""

    user: str


class Fault(Struct, frozen=True, order=True):
    """What is wrong with a line."""

    line: int
    sentence: str


class Faults:
    """The bad lines of a file: all of them counted, the first of them kept."""

    KEPT = 100

    def __init__(self) -> None:
        self.count = 0
        self.first: list[Fault] = []
        """In the file's order; KEPT of them at most."""

    def add(self, line: int, sentence: str) -> None:
        """Take note of a bad line."""
        self.count += 1
        self.keep(line, sentence)

    def keep(self, line: int, sentence: str) -> None:
        """Keep what is wrong with a line, if it is among the first, for one that is counted otherwise."""
        if len(self.first) < self.KEPT or line < self.first[-1].line:
            insort(self.first, Fault(line, sentence))
            del self.first[self.KEPT :]


Lines = Iterator[tuple[int, GivenDay]]


def read_days(file: BinaryIO, written: Format, faults: Faults) -> Lines:
    """Read the days of a file as (number of the line, day), and add what is wrong to `faults`.

    Raises DayFileError where the file cannot be read, is not of this format at all, or is a broken JSON list.
    """
    readers: dict[Format, Callable[[BinaryIO, Faults], Lines]] = {
        "csv": _read_csv,
        "json": _read_json,
        "ndjson": _read_ndjson,
    }
    try:
        yield from readers[written](file, faults)
    except OSError as error:
        raise DayFileError(f"cannot be read: {error.strerror}") from error


def _read_csv(file: BinaryIO, faults: Faults) -> Lines:
    lines = _split(file, faults)
    pick = _read_header(next(lines, (1, b"")), faults)
    for number, raw in lines:
        try:
            fields = _fields(raw)
            if len(fields) != len(COLUMNS):
                faults.add(number, f"expected {len(COLUMNS)} fields, got {len(fields)}")
                continue
            user, date, energy, focus, fulfillment = pick(fields)
            yield number, GivenDay(_date(date), SCORES[energy], SCORES[focus], SCORES[fulfillment], user)
        except UnicodeDecodeError:
            faults.add(number, NOT_UTF_8)
        except csv.Error as error:
            faults.add(number, f"not CSV: {error}")
        except (KeyError, msgspec.ValidationError):
            faults.add(number, _explain(date, (energy, focus, fulfillment)))


def _split(file: BinaryIO, faults: Faults) -> Iterator[tuple[int, bytes]]:
    """Give each line that is not blank, with its number."""
    number = 0
    while raw := file.readline(LONGEST + 1):
        number += 1
        if number == 1:
            raw = raw.removeprefix(codecs.BOM_UTF8)
        if len(raw) > LONGEST:
            faults.add(number, f"longer than {LONGEST} bytes")
            while raw and not raw.endswith(b"\n"):
                raw = file.readline(LONGEST)
        elif not raw.isspace():
            yield number, raw


def _fields(raw: bytes) -> list[str]:
    """Cut up one line: nothing that belongs in these columns has a line break in it, even in quotes."""
    text = raw.decode().rstrip("\r\n")
    fields = next(csv.reader([text], strict=True)) if '"' in text else text.split(",")
    return [field.strip() for field in fields] if " " in text else fields


def _read_header(first: tuple[int, bytes], faults: Faults) -> Callable[[list[str]], tuple[str, str, str, str, str]]:
    """Give what picks a line's fields in the order of COLUMNS."""
    if faults.count:
        raise DayFileError(faults.first[0].sentence, faults.first[0].line)
    number, raw = first
    if not raw:
        raise DayFileError("is empty")
    try:
        names = [name.lower() for name in _fields(raw)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DayFileError(NOT_UTF_8 if isinstance(error, ValueError) else f"not CSV: {error}", number) from error
    if sorted(names) != sorted(COLUMNS):
        raise DayFileError(f"expected the columns {','.join(COLUMNS)}, got {shown(','.join(names))}", number)
    return cast("Callable[[list[str]], tuple[str, str, str, str, str]]", itemgetter(*map(names.index, COLUMNS)))


@lru_cache(maxsize=4_096)
def _date(text: str) -> dt.date:
    return msgspec.convert(text, dt.date)


def _explain(date: str, scores: Sequence[str]) -> str:
    """Say what is wrong with a line of CSV."""
    wrongs = [
        f"{name}: expected a whole number from 0 to 100, got {shown(score)}"
        for name, score in zip(COLUMNS[2:], scores, strict=True)
        if score not in SCORES
    ]
    try:
        _date(date)
    except msgspec.ValidationError:
        wrongs.insert(0, f"date: expected a day such as 2026-11-22, got {shown(date)}")
    return "; ".join(wrongs)


def shown(text: str) -> str:
    """Quote what a file says, so that it fits into a line and no control character of it reaches a terminal."""
    return repr(text if len(text) <= MOST_SHOWN else text[:MOST_SHOWN] + "…")


def _read_ndjson(file: BinaryIO, faults: Faults) -> Lines:
    decode = msgspec.json.Decoder(GivenDay).decode
    for number, raw in _split(file, faults):
        try:
            yield number, decode(raw)
        except msgspec.ValidationError as error:
            faults.add(number, _located(error))
        except UnicodeDecodeError:
            faults.add(number, NOT_UTF_8)
        except (msgspec.DecodeError, RecursionError) as error:
            faults.add(number, f"not JSON: {error}")


def _located(error: msgspec.ValidationError) -> str:
    """Give what msgspec says, with the field first."""
    sentence, _, field = str(error).replace("`", "").partition(" - at $.")
    return f"{field}: {sentence}" if field else sentence


def _read_json(file: BinaryIO, faults: Faults) -> Lines:
    """Read one list, whose items may stand on any lines: each is reported at the line that it begins on."""
    window = _Window(file)
    if window.next() != "[":
        raise DayFileError("expected a JSON list", window.line)
    window.move(1)
    item = 0
    while window.next() != "]" or item:
        item += 1
        value, length = window.decode(item)
        try:
            yield window.line, msgspec.convert(value, GivenDay)
        except msgspec.ValidationError as error:
            faults.add(window.line, f"item {item}: {_located(error)}")
        window.move(length)
        following = window.next()
        if following == "]":
            break
        if following != ",":
            raise DayFileError(f"expected a comma or the list's end after item {item}", window.line)
        window.move(1)
    window.move(1)
    if window.next():
        raise DayFileError("something follows the list's end", window.line)


class _Window:
    """The part of a text that is being read: what stands at `at`, and enough behind it for any item.

    Ours, because no library that reads JSON piece by piece says on which line an item begins.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.line = 1
        self._file = file
        self._text = ""
        self._at = 0
        self._ended = False
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._raw_decode = json.JSONDecoder().raw_decode

    def next(self) -> str:
        """Move to what is no space, and give that character, or "" at the text's end."""
        while True:
            self._fill()
            match = SPACES.match(self._text, self._at)
            self.move(match.end() - self._at if match else 0)
            if self._at < len(self._text) or self._ended:
                return self._text[self._at : self._at + 1]

    def move(self, length: int) -> None:
        """Go on by so many characters."""
        self.line += self._text.count("\n", self._at, self._at + length)
        self._at += length

    def decode(self, item: int) -> tuple[Any, int]:
        """Decode the value that stands here, and give it with its length."""
        self._fill()
        try:
            value, end = self._raw_decode(self._text, self._at)
        except (ValueError, RecursionError):
            end = None
        if end is None or end - self._at > LONGEST:
            raise DayFileError(f"item {item} is not JSON, or longer than {LONGEST} characters", self.line) from None
        return value, end - self._at

    def _fill(self) -> None:
        while not self._ended and len(self._text) - self._at <= LONGEST:
            block = self._file.read(BLOCK)
            self._ended = not block
            try:
                more = self._decoder.decode(block, final=self._ended)
            except UnicodeDecodeError as error:
                before = self._text.count("\n", self._at) + error.object[: error.start].count(b"\n")
                raise DayFileError(NOT_UTF_8, self.line + before) from error
            self._text = self._text[self._at :] + more
            self._at = 0
