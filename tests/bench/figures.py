"""The figures of a run: medians with their spread, what they must be, and how they compare with another run's."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct
from rich.table import Table

SIGNS = {"at least": "≥", "at most": "≤", "under": "<"}


class Figure(Struct, frozen=True):
    """What several rounds found."""

    median: float
    least: float
    most: float


class Run(Struct, frozen=True):
    """What a run was on, and its figures: by what was measured, and what of it (with the unit)."""

    machine: dict[str, str | int]
    figures: dict[str, dict[str, Figure]]


class Target(Struct, frozen=True):
    """What a figure must be."""

    subject: str
    aspect: str
    sign: Literal["at least", "at most", "under"]
    bound: float

    def met(self, value: float) -> bool:
        """Say whether a value is as it must be."""
        if self.sign == "at least":
            return value >= self.bound
        return value < self.bound or (self.sign == "at most" and value == self.bound)


def figure(samples: Sequence[float]) -> Figure:
    """Sum up the samples of all rounds."""
    return Figure(statistics.median(samples), min(samples), max(samples))


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Figure:
    """Sum up ratios, each of two samples of the same round."""
    return figure([our / their for our, their in zip(ours, theirs, strict=True)])


def read(path: Path) -> Run:
    """Read another run. Ends the benchmark where that file holds none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Run)
    except (OSError, msgspec.DecodeError) as error:
        raise SystemExit(f"{path} holds no run to compare with: {error}") from error


def tables_of(figures: Mapping[str, Mapping[str, Figure]]) -> list[Table]:
    """Tell all figures: what has the same aspects stands in one table, and what has only one in another."""
    tables: dict[tuple[str, ...], Table] = {}
    alone = _table("", "median", "")
    for subject, aspects in figures.items():
        if len(aspects) == 1:
            [(aspect, found)] = aspects.items()
            alone.add_row(subject, _spell_with_spread(found), aspect)
            continue
        if tuple(aspects) not in tables:
            tables[tuple(aspects)] = _table("", *aspects)
        tables[tuple(aspects)].add_row(subject, *map(_spell_with_spread, aspects.values()))
    return [*tables.values(), *([alone] if alone.row_count else [])]


def targets_of(run: Run, targets: Sequence[Target]) -> Table:
    """Tell what must be, and whether it is."""
    table = _table("what must be", "", "target", "figure", "")
    for target in targets:
        found = run.figures[target.subject][target.aspect].median
        met = "met" if target.met(found) else "NOT MET"
        table.add_row(target.subject, target.aspect, f"{SIGNS[target.sign]} {spell(target.bound)}", spell(found), met)
    return table


def changes_of(before: Run, after: Run) -> Table:
    """Tell what has changed from one run to the next.

    A mark says that neither median lies in the other's spread; what has none in either run is never marked.
    """
    table = _table("the change", "", "before", "after", "change", "beyond the spread")
    old, new = _flat(before), _flat(after)
    for name in [*new, *(each for each in old if each not in new)]:
        was, is_now = old.get(name), new.get(name)
        change = mark = ""
        if was and is_now and was.median:
            change = f"{is_now.median / was.median - 1:+.1%}"
            spread = was.least < was.most or is_now.least < is_now.most
            mark = "*" if spread and not _within(is_now.median, was) and not _within(was.median, is_now) else ""
        table.add_row(*name, *(spell(each.median) if each else "" for each in (was, is_now)), change, mark)
    return table


def _flat(run: Run) -> dict[tuple[str, str], Figure]:
    return {(subject, aspect): found for subject, aspects in run.figures.items() for aspect, found in aspects.items()}


def _within(value: float, other: Figure) -> bool:
    return other.least <= value <= other.most


def _spell_with_spread(found: Figure) -> str:
    if not found.median or found.least == found.most:
        return spell(found.median)
    return f"{spell(found.median)} ±{(found.most - found.least) / 2 / abs(found.median):.0%}"


def spell(value: float) -> str:
    """Spell a number with the three digits that count."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _table(first: str, *headings: str) -> Table:
    table = Table()
    table.add_column(first)
    for heading in headings:
        table.add_column(heading, justify="right" if heading else "left")
    return table
