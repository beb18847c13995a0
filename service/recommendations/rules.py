"""Recommendations without AI: a few rules over the person's own figures, and over what they made of earlier advice.

Pure: no clock, no I/O, and the same for the same pattern and history.
"""

from collections.abc import Iterable
from itertools import chain

from service.patterns.analysis import METRICS, Metric, Pattern
from service.recommendations.advice import Advice, Advised, History
from service.recommendations.findings import Finding, average_of, findings, weakest
from service.recommendations.gist import gist
from service.recommendations.habits import HABITS, NEXT_STEPS
from service.recommendations.sayings import Saying

LEAST = 2
MOST = 5
# Fewer findings than these are followed by habits.
ENOUGH = 3
HABITS_AFTER_FEW = 2

NO_HISTORY = History()


class Rules:
    """The engine that is always there."""

    name: str = "rules"
    model: str | None = None
    prompt_version: str | None = None
    most_calls: int = 0
    most_tokens: int = 0

    async def advise(self, pattern: Pattern, history: History, _most_calls: int | None = None) -> Advised:
        """Two to five recommendations; never fails."""
        return Advised(recommend(pattern, history))


def recommend(pattern: Pattern, history: History = NO_HISTORY) -> list[Advice]:
    """What the rules recommend: two to five pieces of advice, no two alike.

    Each finding gives one piece; fewer than three are followed by two good habits. Without a history they stand in the
    order of the findings, each with the first thing that is said of it. With one:

    - what was refused does not come back, not even for other weekdays, and a topic to avoid is used only where nothing
      else is left;
    - a topic that helped comes first, now and then with a next step instead of the same again;
    - one that was ignored comes last;
    - else what was given least is taken, so that advice changes from one batch to the next.

    The weakest metric chooses first, and where no more can be said of what was found of it, a habit serves it.

    Where a person has refused so much that fewer than two things are left to say, the list is empty: GENERAL_ADVICE,
    which is given then, says none of those things, and as it is never kept, nobody can have refused it.
    """
    taste = Taste(history)
    weak = weakest(pattern)
    found = [pieces_on(finding, taste) for finding in findings(pattern)]
    habits = [piece for habit in habits_of(pattern) for piece in pieces_on(habit, taste)]

    pieces = one_on_each(found, weak, taste)
    for choice in choices_of_habits(habits, found, pieces, weak, taste):
        if habit := taste.best(choice, pieces):
            pieces.append(habit)
    # Rather a topic twice, or one to avoid, than no batch.
    said = [*chain(*found), *habits]
    while len(pieces) < LEAST:
        piece = taste.least_unwelcome(said, pieces)
        if piece is None:
            return []
        pieces.append(piece)
    return sorted(pieces, key=lambda piece: taste.place(piece, weak))


class Taste:
    """What a person made of earlier advice, as the rules look at it."""

    def __init__(self, history: History) -> None:
        self.avoided = frozenset(history.avoided)
        self.helped = frozenset(history.helped)
        self.ignored = frozenset(history.ignored)
        self.refused = frozenset(gist(text) for text in history.refused)
        self.given = {standing.topic: standing.given for standing in history.standings}

    def best(self, pieces: Iterable[Advice], beside: Iterable[Advice]) -> Advice | None:
        """Choose a piece to stand beside others; None where none is both welcome and on a topic of its own."""
        closed = self.avoided.union(piece.topic for piece in beside)
        welcome = (
            piece for piece in pieces if piece.topic not in closed and gist(piece.recommendation) not in self.refused
        )
        return min(welcome, key=self.order, default=None)

    def order(self, piece: Advice) -> tuple[bool, bool, int]:
        """Tell what is preferred: the smallest, and of equals the first."""
        return piece.topic not in self.helped, piece.topic in self.ignored, self.given.get(piece.topic, 0)

    def least_unwelcome(self, pieces: Iterable[Advice], beside: Iterable[Advice]) -> Advice | None:
        """Choose a piece to stand beside others where `best` has none left; None where all has been said or refused."""
        used = {piece.topic for piece in beside}
        closed = self.refused.union(gist(piece.recommendation) for piece in beside)
        return min(
            (piece for piece in pieces if gist(piece.recommendation) not in closed),
            key=lambda piece: (piece.topic in self.avoided, piece.topic in used, *self.order(piece)),
            default=None,
        )

    def place(self, piece: Advice, weak: Metric) -> int:
        """Tell where a piece stands: what helped first; what was ignored last, unless it is on the weakest metric."""
        if piece.topic in self.helped:
            return 0
        return 2 if piece.topic in self.ignored and not is_about(piece, weak) else 1


def pieces_on(finding: Finding, taste: Taste) -> list[Advice]:
    """All the advice that a finding can lead to; on a topic that has helped, the next step is among it."""
    sayings: list[Saying] = []
    for saying in finding.sayings:
        if saying.topic in taste.helped:
            both = (saying, NEXT_STEPS[saying.topic])
            # By turns: what was given once, and helped, is followed by its next step.
            sayings += both[::-1] if taste.given[saying.topic] % 2 else both
        else:
            sayings.append(saying)
    return [as_advice(finding, saying) for saying in sayings]


def as_advice(finding: Finding, saying: Saying) -> Advice:
    """Say one thing of a finding."""
    joint = ", " if saying.reason[0].islower() else ". "
    return Advice(
        saying.recommendation.format(days=finding.days),
        f"{finding.fact}{joint}{saying.reason}",
        finding.data_point,
        saying.topic,
    )


def habits_of(pattern: Pattern) -> list[Finding]:
    """The habits that suit anybody, as findings: each is tied to the figure that it serves."""
    points = {metric: average_of(pattern, metric) for metric in METRICS}
    return [
        Finding(f"Your {habit.metric} averages {points[habit.metric].value}", points[habit.metric], (habit.saying,))
        for habit in HABITS
    ]


def one_on_each(found: list[list[Advice]], weak: Metric, taste: Taste) -> list[Advice]:
    """Choose a piece on each finding that has one left, in the order of the findings."""
    chosen: dict[int, Advice] = {}
    # The weakest metric's turn comes first: no other finding takes the last topic that is left for it.
    for number in sorted(range(len(found)), key=lambda number: not is_about(found[number][0], weak)):
        if piece := taste.best(found[number], chosen.values()):
            chosen[number] = piece
    return [chosen[number] for number in sorted(chosen)]


def is_about(piece: Advice, metric: Metric) -> bool:
    """Whether a figure of this metric led to a piece of advice."""
    return piece.data_point is not None and piece.data_point.metric == metric


def choices_of_habits(
    habits: list[Advice], found: list[list[Advice]], pieces: list[Advice], weak: Metric, taste: Taste
) -> list[list[Advice]]:
    """Give the habits to choose from, one after the other, so many as there are to be beside the pieces on findings."""
    choices = []
    if len(pieces) < len(found) and not any(is_about(piece, weak) for piece in pieces):
        choices.append([habit for habit in habits if is_about(habit, weak)])
    if taste.helped and taste.helped.isdisjoint(piece.topic for piece in pieces):
        choices.append([habit for habit in habits if habit.topic in taste.helped])
    if len(pieces) < ENOUGH:
        choices += [habits] * (HABITS_AFTER_FEW - len(choices))
    return choices[: MOST - len(pieces)]


# What is answered when no engine could make anything: it claims nothing about the person.
GENERAL_ADVICE = (
    Advice(
        "Go to bed and get up at about the same times every day this week.",
        "A steady rhythm is what the rest of the day stands on. Many people find their days more even when their "
        "sleep is regular.",
        None,
        "sleep",
    ),
    Advice(
        "Begin the day with your most important task, for 45 minutes, with notifications off.",
        "What is done first cannot be pushed out by the day. Even one protected stretch can move something forward "
        "that matters.",
        None,
        "attention",
    ),
    Advice(
        "Take a short break away from your screen after every hour or two of work.",
        "Attention wears down slowly, and it is easy not to notice. A few minutes of rest make the next hour easier.",
        None,
        "rest",
    ),
    Advice(
        "Go for a ten-minute walk outside once a day, in daylight if you can.",
        "A walk changes the scene and gives the mind room to settle. It is short enough to fit into almost any day.",
        None,
        "movement",
    ),
    Advice(
        "Each evening, write down one thing that went well and one that you would change.",
        "A day is easier to learn from while it is fresh. After a week the notes often show what is worth repeating.",
        None,
        "reflection",
    ),
)
