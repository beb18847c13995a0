"""What is read from a file of days, and the sentence for each line that is wrong."""

import datetime as dt
import io
import json

import pytest

from service import dayfile
from service.dayfile import LONGEST, DayFileError, Fault, Faults, Format, GivenDay, read_days

HEADER = b"user,date,energy,focus,fulfillment\n"
GOOD = b"ada@acme.test,2026-11-22,85,78,90\n"
ADA = GivenDay(dt.date(2026, 11, 22), 85, 78, 90, "ada@acme.test")
OBJECT = b'{"user": "ada@acme.test", "date": "2026-11-22", "energy": 85, "focus": 78, "fulfillment": 90}'


def read(text: bytes, written: Format = "csv") -> tuple[list[tuple[int, GivenDay]], list[tuple[int, str]]]:
    faults = Faults()
    days = list(read_days(io.BytesIO(text), written, faults))
    return days, [(fault.line, fault.sentence) for fault in faults.first]


def refused(text: bytes, written: Format = "csv") -> tuple[int | None, str]:
    with pytest.raises(DayFileError) as error:
        read(text, written)
    return error.value.line, str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        HEADER + GOOD,
        HEADER + GOOD.rstrip(),
        b"\xef\xbb\xbf" + HEADER + GOOD,
        (HEADER + GOOD).replace(b"\n", b"\r\n"),
        b'"user","date","energy","focus","fulfillment"\n"ada@acme.test","2026-11-22","85","78","90"\n',
        b"User, Date, Energy, Focus, Fulfillment\nada@acme.test, 2026-11-22 ,85, 78,  90 \n",
        HEADER + GOOD + b"\n   \n\r\n",
    ],
)
def test_csv_is_taken_as_programs_write_it(text: bytes) -> None:
    assert read(text) == ([(2, ADA)], [])


def test_the_columns_of_csv_may_stand_in_any_order() -> None:
    text = b"focus,user,fulfillment,date,energy\n78,ada@acme.test,90,2026-11-22,85\n"

    assert read(text) == ([(2, ADA)], [])


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (b"ada@acme.test,2026-11-22,85,78", "expected 5 fields, got 4"),
        (b"ada@acme.test,2026-11-22,85,78,90,1", "expected 5 fields, got 6"),
        (b"ada@acme.test,2026-11-22,101,78,90", "energy: expected a whole number from 0 to 100, got '101'"),
        (b"ada@acme.test,2026-11-22,85,-1,90", "focus: expected a whole number from 0 to 100, got '-1'"),
        (b"ada@acme.test,2026-11-22,85,78,90.0", "fulfillment: expected a whole number from 0 to 100, got '90.0'"),
        (b"ada@acme.test,2026-11-22,085,78,90", "energy: expected a whole number from 0 to 100, got '085'"),
        ("a,2026-11-22,٨,78,90".encode(), "energy: expected a whole number from 0 to 100, got '٨'"),
        (b"ada@acme.test,22.11.2026,85,78,90", "date: expected a day such as 2026-11-22, got '22.11.2026'"),
        (b"ada@acme.test,2026-02-30,85,78,90", "date: expected a day such as 2026-11-22, got '2026-02-30'"),
        (b"ada@acme.test,20261122,85,78,90", "date: expected a day such as 2026-11-22, got '20261122'"),
        (
            b"ada@acme.test,,,78,x",
            (
                "date: expected a day such as 2026-11-22, got '';"
                " energy: expected a whole number from 0 to 100, got '';"
                " fulfillment: expected a whole number from 0 to 100, got 'x'"
            ),
        ),
        (b"ada@acme.test,2026-11-22,\x1b[2J,78,90", "energy: expected a whole number from 0 to 100, got '\\x1b[2J'"),
        (b"ada@acme.test,2026-11-22,8\x005,78,90", "energy: expected a whole number from 0 to 100, got '8\\x005'"),
        (
            b"ada@acme.test,2026-11-22," + b"9" * 99 + b",78,90",
            f"energy: expected a whole number from 0 to 100, got '{'9' * 60}…'",
        ),
        (b"\xff,2026-11-22,85,78,90", "not UTF-8"),
        (b'"ada@acme.test,2026-11-22,85,78,90', "not CSV: unexpected end of data"),
        (b"x" * (LONGEST + 1), "longer than 65536 bytes"),
        (b"x" * 10_000_000, "longer than 65536 bytes"),
    ],
)
def test_a_bad_line_of_csv_is_named_and_the_lines_around_it_are_read(line: bytes, sentence: str) -> None:
    days, faults = read(HEADER + GOOD + line + b"\n" + GOOD)

    assert days == [(2, ADA), (4, ADA)]
    assert faults == [(3, sentence)]


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        (b"", None, "is empty"),
        (b"\n \n", None, "is empty"),
        (b"user,date,energy,focus\n", 1, "expected the columns user,date,energy,focus,fulfillment, got"),
        (b"user,date,energy,focus,fulfillment,note\n", 1, "expected the columns user,date,energy,focus,fulfillment"),
        (b"user,user,date,energy,focus\n", 1, "expected the columns user,date,energy,focus,fulfillment, got"),
        (HEADER.replace(b",", b";"), 1, "expected the columns user,date,energy,focus,fulfillment, got 'user;date"),
        (b"\n" + GOOD, 2, "expected the columns user,date,energy,focus,fulfillment, got 'ada@acme.test,2026-11-22,85"),
        (HEADER.decode().encode("utf-16"), 1, "not UTF-8"),
        (b'"user', 1, "not CSV: unexpected end of data"),
        (b"x" * 10_000_000 + b"\n" + HEADER, 1, "longer than 65536 bytes"),
    ],
)
def test_without_its_columns_a_csv_is_not_read(text: bytes, line: int | None, sentence: str) -> None:
    found = refused(text)

    assert found[0] == line
    assert found[1].startswith(sentence)


@pytest.mark.parametrize("text", [OBJECT, OBJECT + b"\n", b"\xef\xbb\xbf" + OBJECT + b"\r\n\r\n"])
def test_ndjson_is_an_object_a_line(text: bytes) -> None:
    assert read(text, "ndjson") == ([(1, ADA)], [])


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (OBJECT.replace(b"85", b'"85"'), "energy: Expected int, got str"),
        (OBJECT.replace(b"85", b"85.0"), "energy: Expected int, got float"),
        (OBJECT.replace(b"85", b"101"), "energy: Expected int <= 100"),
        (OBJECT.replace(b"85", b"true"), "energy: Expected int, got bool"),
        (OBJECT.replace(b"2026-11-22", b"2026-11-32"), "date: Invalid RFC3339 encoded date"),
        (OBJECT.replace(b'"energy": 85, ', b""), "Object missing required field energy"),
        (OBJECT.replace(b"{", b'{"note": "", '), "Object contains unknown field note"),
        (b"[1]", "Expected object, got array"),
        (b"null", "Expected object, got null"),
        (OBJECT[:-1], "not JSON: Input data was truncated"),
        (OBJECT + b",", "not JSON: JSON is malformed: trailing characters (byte 94)"),
        (b"\xff", "not JSON: JSON is malformed: invalid character (byte 0)"),
        (OBJECT.replace(b"ada", b"\xff"), "not UTF-8"),
        (b"[" * 60_000, "Expected object, got array"),
        (b'{"user": ' + b"[" * 60_000, "user: Expected str, got array"),
        (b"x" * 10_000_000, "longer than 65536 bytes"),
    ],
)
def test_a_bad_line_of_ndjson_is_named_and_the_lines_around_it_are_read(line: bytes, sentence: str) -> None:
    days, faults = read(OBJECT + b"\n" + line + b"\n" + OBJECT, "ndjson")

    assert days == [(1, ADA), (3, ADA)]
    assert faults == [(2, sentence)]


def test_a_json_list_may_be_laid_out_in_any_way_and_an_item_is_known_by_where_it_begins() -> None:
    pretty = json.dumps([json.loads(OBJECT)] * 2, indent=2).encode()

    assert read(b"[" + OBJECT + b"," + OBJECT + b"]", "json") == ([(1, ADA), (1, ADA)], [])
    assert read(b"\xef\xbb\xbf \n" + pretty + b"\n", "json") == ([(3, ADA), (10, ADA)], [])
    assert read(b"[]", "json") == ([], [])


def test_a_bad_item_of_a_json_list_is_named_and_the_items_around_it_are_read() -> None:
    items = [OBJECT, OBJECT.replace(b"85", b"NaN"), b"7", b'{"user": {"a": ["}"]}}', OBJECT]

    days, faults = read(b"[\n" + b",\n".join(items) + b"\n]\n", "json")

    assert days == [(2, ADA), (6, ADA)]
    assert faults == [
        (3, "item 2: energy: Expected int, got float"),
        (4, "item 3: Expected object, got int"),
        (5, "item 4: user: Expected str, got object"),
    ]


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        (b"", 1, "expected a JSON list"),
        (b"\n" + OBJECT, 2, "expected a JSON list"),
        (b"[\n", 2, "item 1 is not JSON, or longer than 65536 characters"),
        (b"[\n" + OBJECT, 2, "expected a comma or the list's end after item 1"),
        (b"[" + OBJECT + b"\n" + OBJECT + b"]", 2, "expected a comma or the list's end after item 1"),
        (b"[" + OBJECT + b",\n]", 2, "item 2 is not JSON, or longer than 65536 characters"),
        (b"[" + OBJECT + b",\n" + OBJECT[:-1], 2, "item 2 is not JSON, or longer than 65536 characters"),
        (b"[" + OBJECT + b"]\n[]", 2, "something follows the list's end"),
        (b"[\n\n" + OBJECT.replace(b"ada", b"\xff") + b"]", 3, "not UTF-8"),
        (b"[" + OBJECT + b'\n, "\xc3', 2, "not UTF-8"),
        (b'["' + b"x" * LONGEST + b'"]', 1, "item 1 is not JSON, or longer than 65536 characters"),
        (b'["' + b"x" * 10_000_000 + b'"]', 1, "item 1 is not JSON, or longer than 65536 characters"),
        (b"[" * 60_000, 1, "item 1 is not JSON, or longer than 65536 characters"),
        (b"[" + b"9" * 5_000 + b"]", 1, "item 1 is not JSON, or longer than 65536 characters"),
        (b'["\x00"]', 1, "item 1 is not JSON, or longer than 65536 characters"),
    ],
)
def test_a_broken_json_list_is_read_no_further(text: bytes, line: int, sentence: str) -> None:
    assert refused(text, "json") == (line, sentence)


def test_a_json_list_that_is_longer_than_what_is_held_of_it_is_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    # A block ends anywhere in an item, and between two.
    monkeypatch.setattr(dayfile, "BLOCK", 997)
    text = b"[" + b",".join(b"\n" + b" " * (number % 50) + OBJECT for number in range(3_000)) + b" " * 200_000 + b"]"

    days, faults = read(text, "json")

    assert days == [(number + 2, ADA) for number in range(3_000)]
    assert faults == []


def test_a_file_that_breaks_off_with_an_error_is_said_to() -> None:
    class Broken(io.BytesIO):
        def readline(self, _: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(DayFileError, match=r"^cannot be read: Input/output error$"):
        list(read_days(Broken(), "csv", Faults()))


def test_all_bad_lines_are_counted_and_the_first_of_the_file_kept_in_whatever_order_they_come() -> None:
    faults = Faults()
    for number in range(250):
        faults.add(number * 101 % 250 + 1, "wrong")

    assert faults.count == 250
    assert faults.first == [Fault(number, "wrong") for number in range(1, 101)]
