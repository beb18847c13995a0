"""Whether advice that came from outside may be shown to a person: its shape, its figures and its words.

What an API answers is not trusted. A text is turned away for what it might do to whoever shows it (markup, links,
characters that nobody sees) and for what it might tell the person (figures that are not theirs, talk of prompts, harm).
The patterns for the latter are heuristics: they catch what a model lets slip, not a writer who means to get past them.
"""

import re
import unicodedata
from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import Final

from service.patterns.analysis import LOW_ENERGY, METRICS, PEAK, Pattern, score, trend_of
from service.recommendations.advice import PEAK as PLANNED_PEAK
from service.recommendations.advice import Advice, DataPoint, History, Topic, figures
from service.recommendations.gist import gist
from service.recommendations.prompt import COUNT

MOST_WORDS = 24
LONGEST_RECOMMENDATION = 200  # characters
LONGEST_REASONING = 600
# "Rest." is no advice.
LEAST_WORDS = 3

# Numbers up to this are counts of days, breaks and tasks, or hours of the day.
SMALL = 12
# The scale's ends, and the thresholds that the service itself speaks of.
THRESHOLDS: Final = frozenset({100, LOW_ENERGY, PEAK, PLANNED_PEAK, 85})


class Unsound(Exception):
    """Advice has a defect, which the message names without repeating the text or any figure."""


def check(advice: Sequence[Advice], pattern: Pattern, history: History) -> None:
    """Check a whole batch: five pieces, each of them sound, true of the person, new to them and not what they refused.

    Raises Unsound with the first defect.
    """
    if len(advice) != COUNT:
        raise Unsound(f"{len(advice)} recommendations")
    true, known = figures(pattern), known_numbers(pattern)
    taken = {gist(text) for text in history.refused}
    for number, each in enumerate(advice, 1):
        try:
            check_text(each.recommendation, each.reasoning)
            check_numbers("recommendation", each.recommendation, known)
            check_numbers("reasoning", each.reasoning, known)
            check_choice(each, true, history.avoided, taken)
        except Unsound as defect:
            raise Unsound(f"recommendation {number}: {defect}") from None
        taken.add(gist(each.recommendation))


# Dashes part words; U+2013 and U+2014 are the en dash and the em dash.
WORD = re.compile(r"[^\s\u2013\u2014]*\w[^\s\u2013\u2014]*")
FINISHED = re.compile(r"[.!?\u2026][\"'\u2019\u201d)]*$")


def check_text(recommendation: str, reasoning: str) -> None:
    """Check the words of one piece of advice, whoever's it is.

    A recommendation has 3 to 24 words, 200 characters and two sentences at most; a reasoning two or three sentences,
    the last of them finished, and 600 characters. Raises Unsound with the first defect.
    """
    for name, text, most in (
        ("recommendation", recommendation, LONGEST_RECOMMENDATION),
        ("reasoning", reasoning, LONGEST_REASONING),
    ):
        # First, as it bounds the work of all that follows.
        if len(text) > most:
            raise Unsound(f"{name}: more than {most} characters")
        check_characters(name, text)
        check_wording(name, text)
    words = len(WORD.findall(recommendation))
    if not LEAST_WORDS <= words <= MOST_WORDS:
        raise Unsound(f"recommendation: {words} words")
    if sentences(recommendation)[0] > 2:  # noqa: PLR2004 - as the docstring says
        raise Unsound("recommendation: more than two sentences")
    least, most = sentences(reasoning)
    if most < 2 or least > 3:  # noqa: PLR2004
        raise Unsound("reasoning: not two or three sentences")
    if not FINISHED.search(reasoning):
        raise Unsound("reasoning: breaks off")


# Letters and marks that are printable by their category, but that nobody sees: fillers, and selectors of variants, in
# which whole texts can be hidden.
UNSEEN = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
# Spaces that good typography uses between a number and its unit.
NARROW_SPACES = {ord("\u00a0"): " ", ord("\u202f"): " "}


def check_characters(name: str, text: str) -> None:
    """Check that a text is made of what can be seen, on one line.

    `isprintable` refuses controls, line breaks, everything that changes the direction of writing or has no width, and
    what is unassigned or private.
    """
    if not text.strip() or text != text.strip():
        raise Unsound(f"{name}: empty, or spaces around it")
    if not text.translate(NARROW_SPACES).isprintable() or UNSEEN.search(text):
        raise Unsound(f"{name}: characters that cannot be seen")
    # One mark over a letter is writing, more are a heap that runs over the lines around it.
    composed = unicodedata.normalize("NFC", text)
    if any(unicodedata.combining(one) and unicodedata.combining(next_) for one, next_ in pairwise(composed)):
        raise Unsound(f"{name}: heaped marks")


# Looked for in the text in its compatible form (NFKC), in lower case. None of it occurs in ordinary advice.
WORDING: Final = {
    "markup": re.compile(
        r"[<>`*_\[\]{}|\\^]|~~|^(?:[-+\u2022\u2013\u2014]\s|\d+[.)]\s)|(?<!\w)#(?!\d)|&(?:#\w+|[a-z]\w*);"
        # Attributes, and how to get out of one. "Less is more" may be written with an equals sign between spaces.
        r"|\S=|=\S|[\"'].*=|\bon[a-z]{4,}\s*="
    ),
    # The last: a host with its port, an IP address, and so many digits that only a telephone number has them.
    "a link or an address": re.compile(
        r"@|//|\bwww\.|\b(?:javascript|vbscript|data|mailto|tel|sms|https?|ftp|file):\S|\w\.[^\W\d_]\w|\bdot com\b"
        r"|\bxn--|\blocalhost\b|[a-z]:(?:\d{4,5}\b|\d+/)|\d+\.\d+\.\d+\.\d+|\d(?:[ ()./-]*\d){8,}"
    ),
    "talk of instructions": re.compile(
        r"\b(?:ignore|disregard|forget|override)\b[^.]{0,40}\binstructions\b"
        r"|\b(?:ignore|disregard|forget) (?:all |everything |anything )?(?:of )?(?:the |that is )?(?:above|preceding)\b"
        r"|\b(?:system|developer) (?:prompt|message|instruction|mode)s?\b|\bprompt injection\b|\bjailbr[eo]ak"
        r"|\bpasswords?\b|\bapi[ -]?keys?\b|\bcredit card\b"
        r"|^(?:assistant|system|user|human|developer) ?:|\bassistant ?:"
        r"|\bjson\b|\b(?:datapoint|consecutivedays|lowdays|peakdays|buildupon|lastresort)\b"
    ),
    "talk of itself": re.compile(
        r"\bas an? (?:ai|a\.i\.|artificial intelligence|(?:large )?language model|chatbot)\b|\blanguage model\b"
        r"|\b(?:chatgpt|openai|gpt-\d)|\bi(?:'m| am) (?:an? (?:ai|assistant|model)|sorry|unable)\b"
        r"|\bi (?:cannot|can't|can not|won't|will not) (?:help|assist|comply|provide|answer|do)\b"
    ),
    # What the prompt forbids because it could do harm; "the best medicine" and "stop eating by nine" could not.
    "talk of medicine or harm": re.compile(
        r"\b(?:kill|harm|hang|starve)(?:ing)? yourself\b|\bsuicid|\bself-harm|\bend your life\b"
        r"|\b(?:stop|quit|avoid|without|no) (?:eating|food|sleep|sleeping) for (?:\w+ ){0,3}(?:days?|weeks?)\b"
        r"|\bfasting\b|\bfast for (?:\w+ ){0,3}(?:hours|days?|weeks?)\b"
        r"|\d ?mc?g of (?!caffeine)|\bmedications?\b|\bsupplements\b(?! (?:your|the|an?)\b)"
        r"|\b(?:sleeping pill|painkiller|antidepressant|sedative|tranquilli[sz]er|opioid|benzodiazepine)s?\b"
        r"|\b(?:diazepam|valium|xanax|alprazolam|lorazepam|zolpidem|ambien|adderall|ritalin|modafinil|prozac)\b"
        r"|\b(?:depression|adhd|bipolar)\b"
    ),
    "a percentage": re.compile(r"\d ?%|\bper ?cent\b|\bpercentage"),
}


def check_wording(name: str, text: str) -> None:
    """Check that a text is plain words about the person's days.

    Percentages are turned away for they are never among the person's figures: they are the mark of a made-up statistic.
    """
    # U+3002 is a full stop, which browsers take for a dot in a name.
    form = unicodedata.normalize("NFKC", text).casefold().replace("\u2019", "'").replace("\u3002", ".")
    for defect, pattern in WORDING.items():
        if pattern.search(form):
            raise Unsound(f"{name}: {defect}")


# A full stop after these is not the end of a sentence.
ABBREVIATED = re.compile(r"\b(?:e\.g|i\.e|vs|approx)\.$", re.IGNORECASE)
# After these it may be one or not: "by 9 p.m. Then read."
PERHAPS_ABBREVIATED = re.compile(
    r"\b(?:[ap]\.m|etc|no|dr|st|min|mins|hr|hrs|max|mon|tues?|wed|thurs?|thu|fri|sat|sun|[a-z])\.$", re.IGNORECASE
)
STOP = re.compile(r"\S+?[.!?\u2026]+[\"'\u2019\u201d)]*(?=\s+(\S))")


def sentences(text: str) -> tuple[int, int]:
    """Count the sentences of a text: the fewest and the most that it can be read as.

    A stop that is followed by a space ends a sentence, but for an abbreviation's; it is open whether one does that is
    followed by a small letter, or that belongs to an abbreviation which may well end a sentence.
    """
    least = most = 1
    for stop in STOP.finditer(text):
        if ABBREVIATED.search(stop.group()):
            continue
        most += 1
        least += not (stop[1].islower() or PERHAPS_ABBREVIATED.search(stop.group()))
    return least, most


def known_numbers(pattern: Pattern) -> frozenset[int]:
    """All numbers that can be said about a person: scores, averages, changes, runs, counts, and the thresholds."""
    scores = {score(day, metric) for day in pattern.patterns for metric in METRICS}
    trends = [trend_of(pattern.trends, metric) for metric in METRICS]
    changes = {abs(trend.change) for trend in trends}
    counts = {figure.value for figure in figures(pattern)} | {len(pattern.patterns)}
    return frozenset(THRESHOLDS | scores | changes | counts)


# A number that stands for itself, as a score does: not part of a time, a ratio, a span, a thousand, a fraction (but of
# 100) or a compound (but "90-ish" and "a 20-point drop").
NUMBER = re.compile(
    r"(?<!\w)(?<!\w[./,-])(?<!\d[:\u2013])\d+(?:\.\d+)?"
    r"(?=-?ish\b|-points?\b|/100\b|(?![\w/-]|\u2013\w|[:.,]\d)(?:\s+(?P<next>[^\W\d_]+))?)"
)
# What may follow a score. Whatever else follows a number is what it counts: 20 push-ups, 45 minutes, 2 tasks.
AFTER_A_SCORE = re.compile(
    r"a|about|above|across|after|again|already|although|among|and|are|as|at|average|because|before|below|"
    r"between|but|by|compared|down|during|energy|even|focus|for|from|fulfillment|fulfilment|has|"
    r"have|if|in|into|is|it|just|last|lately|like|may|means|now|of|on|only|or|out|over|overall|point|"
    r"points|rather|right|score|scores|shows|since|so|still|than|that|the|these|this|though|"
    r"through|to|today|too|under|until|up|was|were|when|where|which|while|with|yesterday|yet|"
    r"you|your"
)


def check_numbers(name: str, text: str, known: frozenset[int]) -> None:
    """Check that a text claims no score that is not the person's.

    A number over 12 is taken for a score unless it counts something ("15 minutes", "a 20-minute walk", "10,000 steps")
    or is a time ("22:30"); a score must be one of the person's numbers, or a threshold, or 100; one with decimals must
    round to one. Whose score it is said to be is not understood: for that there is the data point, which is exact.
    """
    for found in NUMBER.finditer(unicodedata.normalize("NFKC", text)):
        value, follows = float(found.group()), found["next"]
        counts = follows and not AFTER_A_SCORE.fullmatch(follows.casefold())
        # Not by int(), which an endless number fails.
        if value > SMALL and not counts and (value + 0.5) // 1 not in known:
            raise Unsound(f"{name}: a figure that is not the person's")


def check_choice(
    advice: Advice, true: Collection[DataPoint], avoided: Collection[Topic], taken: Collection[str]
) -> None:
    """Check what advice is based on and about: a true figure, no topic that is avoided, no text that is `taken`."""
    if advice.data_point not in true:
        raise Unsound("data point: not in the pattern")
    if advice.topic in avoided:
        raise Unsound("topic: one that the person called unhelpful")
    if gist(advice.recommendation) in taken:
        raise Unsound("recommendation: given twice, or called unhelpful")
