"""JSON of others, read in the one way that no two parsers can differ on."""

import json
from typing import Any


def parse_object(data: bytes) -> dict[str, Any]:
    """Parse a JSON object that has no name twice: which of the two counts is what parsers disagree on.

    Raises ValueError with what is wrong, as the end of a sentence: "does not hold JSON".
    """
    try:
        parsed = json.loads(data.decode(), object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant)
    except _TwiceError:
        raise ValueError("holds a name twice") from None
    except (ValueError, RecursionError) as error:
        raise ValueError("does not hold JSON") from error
    if not isinstance(parsed, dict):
        raise ValueError("does not hold a JSON object")  # noqa: TRY004 - of the data, not of its type in Python
    return parsed


class _TwiceError(Exception):
    """A name stands twice in one object."""


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    parsed = dict(pairs)
    if len(parsed) != len(pairs):
        raise _TwiceError
    return parsed


def _refuse_constant(name: str) -> object:
    raise ValueError(name)
