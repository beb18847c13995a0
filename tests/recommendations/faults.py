"""What the API can do (the behaviours of tests/openai_behaviours.py), and what has to come of each."""

import asyncio
import importlib

from msgspec import Struct

from service.recommendations.advice import Outcome
from service.setting_values import Secret
from tests.openai_answers import BODIES, CHANGES, CONTENTS, SPOILERS, TOKENS_IN, TOKENS_OUT

KEY = Secret("sk-of-the-tests")
MODEL = "gpt-of-the-tests"

# The engine's time limit, in seconds: long enough for a second try, too short for a third.
LIMIT = 0.75
# By how much an answer may come later than that.
SLACK = 0.2

BILLED = (TOKENS_IN, TOKENS_OUT)
UNBILLED = (0, 0)


class Result(Struct, frozen=True):
    """How a run ends, after how many requests, with how many tokens in and out on the bill."""

    outcome: Outcome
    calls: int = 1
    tokens: tuple[int, int] = UNBILLED


MADE = Result("made", 1, BILLED)
MADE_UNBILLED = Result("made")
INVALID = Result("invalid", 1, BILLED)
INVALID_UNBILLED = Result("invalid")
TIMED_OUT = Result("timed_out")
REJECTED = Result("rejected")
# These are tried a second time.
UNREACHABLE = Result("unreachable", 2)
SERVER_ERROR = Result("server_error", 2)
RATE_LIMITED = Result("rate_limited", 2)

RESULTS: dict[str, Result] = {
    "slow:0.1": MADE,
    "chunked": MADE,
    "twice": MADE,
    "informational": MADE,
    "headers:50": MADE,
    "header": MADE,
    "header:Content-Type: text/html": MADE,
    "header:Set-Cookie: who=you": MADE,
    **dict.fromkeys([*SPOILERS, *CONTENTS, *CHANGES, "avoided topic"], INVALID),
    **dict.fromkeys(BODIES, INVALID_UNBILLED),
    "sound": MADE,
    # Decoded as far as the bill.
    "invalid UTF-8": INVALID,
    "refusal": Result("refused", 1, BILLED),
    "content filter": Result("refused", 1, BILLED),
    # Advice is worth no less for a bill that makes no sense.
    "no usage": MADE_UNBILLED,
    "usage as text": MADE_UNBILLED,
    "usage as list": MADE_UNBILLED,
    "negative usage": MADE_UNBILLED,
    "huge usage": Result("made", 1, (1_000_000, 1_000_000)),
    "slow:5": TIMED_OUT,
    "hang": TIMED_OUT,
    "hang:body": TIMED_OUT,
    "drip": TIMED_OUT,
    "drip:headers": TIMED_OUT,
    "informational:endless": TIMED_OUT,
    "close": UNREACHABLE,
    "close:at once": UNREACHABLE,
    "chunked:wrong": UNREACHABLE,
    "headers:5000": UNREACHABLE,
    "huge": INVALID_UNBILLED,
    "huge:chunked": INVALID_UNBILLED,
    "compressed": INVALID_UNBILLED,
    "compressed:bomb": INVALID_UNBILLED,
    "header:Content-Encoding: br": INVALID_UNBILLED,
    "redirect": REJECTED,
    "redirect:302": REJECTED,
    "nothing": REJECTED,
    "nothing:304": REJECTED,
    "400": REJECTED,
    "401": REJECTED,
    "403": REJECTED,
    "404": REJECTED,
    "408": Result("rejected", 2),
    "500": SERVER_ERROR,
    "503": SERVER_ERROR,
    "503:0": SERVER_ERROR,
    "503:60": Result("server_error"),
    "429": RATE_LIMITED,
    "429:0.05": RATE_LIMITED,
    "429 ms:50": RATE_LIMITED,
    "429 date:-60": RATE_LIMITED,
    "429:-1": RATE_LIMITED,
    "429:nan": RATE_LIMITED,
    "429:soon": RATE_LIMITED,
    # There is no time to wait so long: it ends at once.
    "429:60": Result("rate_limited"),
    "429:inf": Result("rate_limited"),
    "429:1e999": Result("rate_limited"),
    "429 ms:60000": Result("rate_limited"),
    "429 date:60": Result("rate_limited"),
}


async def load_openai() -> None:
    """Load the openai package now: it takes longer than LIMIT."""
    await asyncio.to_thread(importlib.import_module, "service.recommendations.completions")
