"""Medians, spreads, targets and changes."""

from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from tests.bench.figures import Figure, Run, Target, changes_of, figure, ratio, read, tables_of, targets_of

RUN = Run({"cores": 2}, {"b": {"requests/s": Figure(1_000, 900, 1_200), "p99 ms": Figure(4, 3.5, 4.5)}})


def line_of(first: str, *tables: Table) -> str:
    console = Console(width=120)
    with console.capture() as captured:
        console.print(*tables)
    [found] = [line for line in captured.get().splitlines() if line.startswith(f"│ {first} ")]
    return " ".join(found.replace("│", " ").split())


def test_a_figure_is_the_median_with_its_extremes() -> None:
    assert figure([3.0, 1.0, 8.0]) == Figure(3.0, 1.0, 8.0)


def test_a_ratio_is_of_samples_of_the_same_round() -> None:
    # Of medians it would be 1.
    assert ratio([10.0, 40.0, 20.0], [20.0, 20.0, 5.0]) == Figure(2.0, 0.5, 4.0)


def test_figures_come_with_half_their_spread_in_percent() -> None:
    assert line_of("b", *tables_of(RUN.figures)) == "b 1,000 ±15% 4 ±12%"


def test_a_figure_that_never_varies_comes_without_a_spread() -> None:
    assert line_of("h", *tables_of({"h": {"buffers": Figure(5, 5, 5)}})) == "h 5 buffers"


@pytest.mark.parametrize(
    ("sign", "bound", "said"),
    [
        ("at least", 1_000, "b requests/s ≥ 1,000 1,000 met"),
        ("at least", 1_001, "b requests/s ≥ 1,001 1,000 NOT MET"),
        ("at most", 1_000, "b requests/s ≤ 1,000 1,000 met"),
        ("at most", 999, "b requests/s ≤ 999 1,000 NOT MET"),
        ("under", 1_000, "b requests/s < 1,000 1,000 NOT MET"),
        ("under", 1_001, "b requests/s < 1,001 1,000 met"),
    ],
)
def test_a_target_is_told_with_its_figure(sign: str, bound: float, said: str) -> None:
    target = Target("b", "requests/s", sign, bound)  # type: ignore[arg-type]  # one of the three, as above
    assert line_of("b", targets_of(RUN, [target])) == said


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (Figure(1_500, 1_300, 1_600), "b requests/s 1,000 1,500 +50.0% *"),
        (Figure(500, 400, 600), "b requests/s 1,000 500 -50.0% *"),
        (Figure(1_500, 950, 1_600), "b requests/s 1,000 1,500 +50.0%"),  # the old median lies in the new spread
        (Figure(1_100, 1_050, 1_600), "b requests/s 1,000 1,100 +10.0%"),  # the new one in the old spread
    ],
)
def test_a_change_beyond_both_spreads_is_marked(after: Figure, said: str) -> None:
    before = Run({}, {"b": {"requests/s": Figure(1_000, 900, 1_200)}})
    assert line_of("b", changes_of(before, Run({}, {"b": {"requests/s": after}}))) == said


def test_what_was_sampled_once_has_no_spread_to_be_beyond() -> None:
    once = [Run({}, {"i": {"RSS MiB": Figure(size, size, size)}}) for size in (70, 77)]
    assert line_of("i", changes_of(*once)) == "i RSS MiB 70 77 +10.0%"


def test_what_is_new_or_gone_shows_on_one_side_only() -> None:
    table = changes_of(Run({}, {"old": {"s": Figure(1, 1, 1)}}), Run({}, {"new": {"s": Figure(2, 2, 2)}}))
    assert line_of("old", table) == "old s 1"
    assert line_of("new", table) == "new s 2"


def test_a_file_that_holds_no_run_ends_the_benchmark_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text('{"figures": 1}')
    with pytest.raises(SystemExit, match=r"old\.json holds no run to compare with: "):
        read(tmp_path / "old.json")
    with pytest.raises(SystemExit, match=r"none\.json holds no run to compare with: "):
        read(tmp_path / "none.json")
