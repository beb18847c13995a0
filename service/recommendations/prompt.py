"""What an AI engine is asked: the instructions, the person's figures, and the form that the answer must have."""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from service.patterns.analysis import Averages, DayName, Metric, Pattern, Score, Trends
from service.recommendations.advice import DataPoint, History, Topic, figures
from service.recommendations.findings import weakest

COUNT: Final = 5
# Only the newest days are sent: no more fit into a week's advice, and what a question can cost stays bounded.
MOST_DAYS: Final = 14
# Bytes. The longest message that there can be, which is one of MOST_DAYS days, stays below.
LARGEST_MESSAGE: Final = 3_000


class Instruction(Struct, frozen=True, forbid_unknown_fields=True):
    """Something that the engine is told, and why."""

    text: str
    reason: str


class Prompt(Struct, frozen=True, forbid_unknown_fields=True):
    """What prompt.toml holds."""

    version: str
    instruction: list[Instruction]

    @property
    def system(self) -> str:
        """The instructions as one text; the reasons are for us."""
        return "\n".join(each.text for each in self.instruction)


class DayScores(Struct, frozen=True):
    """A recorded day as the engine sees it: its date stays here."""

    day: DayName
    energy: Score
    focus: Score
    fulfillment: Score


class Topics(Struct, frozen=True, rename="camel"):
    """What the person made of earlier advice, by topic; neither the advice nor what they wrote about it."""

    avoid: tuple[Topic, ...]
    build_upon: tuple[Topic, ...]
    last_resort: tuple[Topic, ...]


class Message(Struct, frozen=True):
    """All that is sent about a person."""

    days: list[DayScores]
    averages: Averages
    trends: Trends
    weakest: Metric
    figures: list[DataPoint]
    topics: Topics


class Item(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """One recommendation of the answer; a model writes in this order, and so begins with the figure."""

    data_point: DataPoint
    topic: Topic
    reasoning: str
    recommendation: str


class Answer(Struct, frozen=True, forbid_unknown_fields=True):
    """The form of the answer."""

    recommendations: Annotated[list[Item], Meta(min_length=COUNT, max_length=COUNT)]


def message(pattern: Pattern, history: History) -> str:
    """Put a person's figures into compact JSON: scores, weekdays, aggregates and topics, and nothing else."""
    return msgspec.json.encode(
        Message(
            days=[DayScores(day.day, day.energy, day.focus, day.fulfillment) for day in pattern.patterns[-MOST_DAYS:]],
            averages=pattern.averages,
            trends=pattern.trends,
            weakest=weakest(pattern),
            # In an order of their own: that of a set would change from process to process.
            figures=sorted(figures(pattern), key=lambda figure: (figure.statistic, figure.metric)),
            topics=Topics(history.avoided, history.helped, history.ignored),
        )
    ).decode()


def schema() -> dict[str, object]:
    """Make the JSON Schema of an Answer in the subset that OpenAI calls strict.

    It is the same for everybody, though an enumeration of the person's own figures would leave the model no other
    choice: OpenAI works each new schema into a grammar before it first answers, which takes longer than we wait.

    Strict wants an object at the top, every object's `additionalProperties` false and its properties all required (they
    are: none has a default), and a type beside every enumeration. Titles and descriptions go: what the model is told
    stands in prompt.toml.
    """
    _, parts = msgspec.json.schema_components([Answer], ref_template="#/$defs/{name}")
    strict: dict[str, object] = _strict({**parts.pop("Answer"), "$defs": parts})
    return strict


def _strict(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    kept = {name: _strict(value) for name, value in node.items() if name not in {"title", "description"}}
    if "enum" in kept:
        kept["type"] = "string"
    if kept.get("type") == "object":
        kept["additionalProperties"] = False
    return kept


def read_prompt() -> Prompt:
    """Read prompt.toml."""
    return msgspec.convert(tomllib.loads(Path(__file__).with_name("prompt.toml").read_text(encoding="utf-8")), Prompt)


PROMPT: Final = read_prompt()
SCHEMA: Final = schema()
