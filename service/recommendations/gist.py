"""When two recommendations are the same to whoever refused one of them."""

import re
import unicodedata

# In a text that is reduced: one weekday or more, in full or short, and what joins them.
_DAY = r"(?:mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:days?)?"
WEEKDAYS = re.compile(rf"\b{_DAY}(?: (?:and )?{_DAY})*\b")


def gist(text: str) -> str:
    """Reduce a recommendation to what makes it the same as another to whoever refused it, whichever weekdays it names.

    Neither case nor spaces nor punctuation make it another. And weekdays change with the scores: "Look back at Mon and
    Wed" and "Look back at Fri" are one piece of advice.
    """
    return WEEKDAYS.sub("days", " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold())))
