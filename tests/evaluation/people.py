"""Fifteen made-up people: their last days, and what they made of last week's advice."""

import datetime as dt
from typing import Literal

from msgspec import Struct

from service.patterns.analysis import Day, Pattern, analyse
from service.recommendations.advice import IGNORED_FROM, History, Standing, Topic

# A Sunday: seven days are a week from Monday on.
UNTIL = dt.date(2026, 11, 22)

Verdict = Literal["ignored", "seen", "helpful", "unhelpful"]
Scores = tuple[int, int, int]


class Given(Struct, frozen=True):
    """A recommendation of last week's, and what the person made of it."""

    verdict: Verdict
    topic: Topic
    recommendation: str


class Person(Struct, frozen=True):
    """Somebody to advise; `days` are energy, focus and fulfillment, oldest first, None where nothing was recorded."""

    name: str
    days: tuple[Scores | None, ...]
    last_week: tuple[Given, ...]

    @property
    def pattern(self) -> Pattern:
        """What their days say."""
        first = UNTIL - dt.timedelta(days=len(self.days) - 1)
        return analyse([Day(first + dt.timedelta(days=age), *day) for age, day in enumerate(self.days) if day])

    @property
    def history(self) -> History:
        """What an engine is told of last week; each piece is on a topic of its own."""
        return History(
            tuple(standing_of(given) for given in self.last_week),
            frozenset(given.recommendation for given in self.last_week if given.verdict == "unhelpful"),
        )


def standing_of(given: Given) -> Standing:
    """What became of the advice on the topic of one piece."""
    helpful, unhelpful, ignored = (given.verdict == each for each in ("helpful", "unhelpful", "ignored"))
    return Standing(
        given.topic,
        given=IGNORED_FROM if ignored else 1,
        viewed=int(not ignored),
        helpful=int(helpful),
        unhelpful=int(unhelpful),
        avoid=unhelpful,
        helped=helpful,
    )


PEOPLE = (
    Person(
        "exhausted",
        ((52, 58, 61), (49, 60, 58), (45, 55, 60), (47, 52, 57), (41, 54, 55), (43, 50, 56), (38, 51, 54)),
        (
            Given("seen", "rest", "Take two short breaks away from your desk each day this week."),
            Given("unhelpful", "attention", "Keep one stretch of 45 minutes each morning free of notifications."),
            Given("helpful", "sleep", "Switch off all screens at ten in the evening, and read until you are sleepy."),
        ),
    ),
    Person(
        "losing focus",
        ((76, 84, 80), (75, 81, 81), (77, 79, 80), (76, 75, 82), (75, 72, 80), (76, 69, 79), (77, 65, 81)),
        (
            Given("unhelpful", "priorities", "Choose your three most important tasks before you open any messages."),
            Given("seen", "sleep", "Go to bed and get up at the same times all week, weekend included."),
        ),
    ),
    Person(
        "thriving",
        ((84, 86, 90), (87, 88, 91), (85, 84, 88), (88, 90, 93), (86, 87, 92), (90, 89, 91), (89, 91, 94)),
        (
            Given("helpful", "growth", "Spend an hour this week on a skill that you have long wanted to learn."),
            Given("seen", "people", "Note which people made these days good, and set aside time for them next week."),
            Given("seen", "timing", "Save your most demanding work for Thu and Sat, and leave the rest for later."),
        ),
    ),
    Person(
        "flat",
        ((75, 74, 80),) * 7,
        (
            Given("seen", "sleep", "Go to bed and get up at the same times all week, weekend included."),
            Given("seen", "reflection", "Set aside fifteen minutes each Sunday to write down what went well."),
        ),
    ),
    Person(
        "three days only",
        ((66, 72, 70), None, None, (71, 70, 68), None, None, (64, 74, 71)),
        (Given("seen", "meaning", "Plan one thing you care about each day, and treat it as an appointment."),),
    ),
    Person(
        "weekend dip",
        ((81, 79, 78), (80, 82, 80), (79, 80, 77), (82, 78, 79), (78, 76, 80), (61, 70, 74), (58, 66, 72)),
        (
            Given("helpful", "movement", "Take a walk of half an hour on Sat and Sun, before the day fills up."),
            Given("unhelpful", "sleep", "Go to bed at your weekday time on Sat, too."),
        ),
    ),
    Person(
        "volatile",
        ((90, 40, 85), (35, 88, 50), (86, 45, 90), (42, 91, 48), (95, 50, 88), (38, 85, 41), (92, 38, 93)),
        (
            Given("seen", "attention", "Keep one stretch of 45 minutes each morning for your most important task."),
            Given("unhelpful", "workload", "Look back at Tue, Thu and Sat, and find what drained you."),
        ),
    ),
    Person(
        "recovering",
        ((48, 60, 66), (52, 63, 65), (55, 61, 68), (60, 66, 70), (64, 65, 71), (69, 68, 70), (73, 70, 74)),
        (
            Given("helpful", "rest", "Lie down for twenty minutes after lunch, without your phone."),
            Given("seen", "meaning", "Plan one thing you care about each day, even for fifteen minutes."),
        ),
    ),
    Person(
        "productive and empty",
        ((85, 88, 55), (83, 86, 52), (86, 90, 49), (84, 87, 47), (87, 89, 46), (85, 88, 44), (86, 91, 43)),
        (
            Given("unhelpful", "meaning", "Plan one thing you care about each day, and treat it as an appointment."),
            Given("helpful", "people", "Have dinner with a friend once this week, and leave work out of it."),
            Given("unhelpful", "growth", "Spend an hour this week on a course that your work will need next year."),
        ),
    ),
    Person(
        "scattered",
        ((78, 52, 79), (80, 48, 78), (79, 55, 80), (77, 47, 79), (78, 51, 81), (80, 49, 78), (79, 50, 80)),
        (
            Given("helpful", "attention", "Put your phone in a drawer until eleven each morning."),
            Given("seen", "timing", "Read your e-mail at nine and at three, and at no other time."),
        ),
    ),
    Person(
        "slowly sliding",
        ((90, 88, 92), (87, 86, 90), (84, 83, 88), (81, 81, 86), (79, 78, 84), (76, 75, 81), (73, 72, 79)),
        (
            Given("seen", "growth", "Take one thing that went well these days, and try it at a larger size."),
            Given("ignored", "reflection", "Each evening, write down one thing that went well."),
        ),
    ),
    Person(
        "first day",
        ((55, 62, 58),),
        (),
    ),
    Person(
        "tired of advice",
        ((68, 66, 70), (65, 67, 69), (70, 64, 72), (66, 68, 71), (69, 65, 70), (64, 66, 73), (67, 63, 71)),
        (
            Given("unhelpful", "rest", "Take a short break after every hour of work this week."),
            Given("unhelpful", "sleep", "Go to bed half an hour earlier on every evening this week."),
            Given("unhelpful", "movement", "Go for a walk of ten minutes before lunch each day."),
            Given("unhelpful", "food", "Eat lunch away from your screen, and drink more water."),
            Given("unhelpful", "attention", "Turn off all notifications until noon."),
            Given("unhelpful", "priorities", "Write down your most important task each evening."),
            Given("unhelpful", "reflection", "Keep a diary of what drained you."),
        ),
    ),
    Person(
        "never looks",
        ((72, 74, 66), (71, 75, 68), (73, 76, 64), (70, 74, 67), (72, 73, 65), (74, 75, 66), (71, 77, 63)),
        (
            Given("ignored", "meaning", "Plan one thing you care about each day, even for fifteen minutes."),
            Given("ignored", "sleep", "Go to bed and get up at the same times all week, weekend included."),
            Given("ignored", "reflection", "Set aside fifteen minutes each Sunday to write down what went well."),
        ),
    ),
    Person(
        "two weeks up and down",
        (
            *((60, 70, 75), (64, 72, 76), (68, 75, 78), (75, 80, 80), (82, 84, 83), (86, 88, 86), (88, 90, 88)),
            *((84, 86, 85), (80, 82, 84), (76, 80, 82), None, (70, 74, 80), (66, 71, 78), (62, 68, 77)),
        ),
        (
            Given("helpful", "timing", "Do your hardest work on Sat and Sun mornings, while this lasts."),
            Given("seen", "workload", "Move or decline two meetings next week, and leave the time empty."),
        ),
    ),
)
