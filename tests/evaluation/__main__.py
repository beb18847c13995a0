"""Let engines advise the people of the evaluation set, and print how well they did."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import rich_click as click
from msgspec.structs import replace
from rich.console import Console
from rich.table import Table

from service.app import open_openai
from service.recommendations.advice import Engine
from service.recommendations.rules import Rules
from service.settings import Settings, SettingsError, environment, read
from tests.evaluation.people import PEOPLE
from tests.evaluation.scores import CRITERIA, Result, judge, means


@click.command()
@click.option("--engine", type=click.Choice(["rules", "openai"]), default="rules", show_default=True)
@click.option(
    "--model", "models", multiple=True, help="Of OpenAI, in place of DAYMARK_OPENAI_MODEL; several can be given."
)
@click.option(
    "--least",
    type=click.FloatRange(0, 1),
    default=0.9,
    show_default=True,
    help="The mean score that each criterion has to reach.",
)
@click.option("--texts", is_flag=True, help="Print the advice, too: whether it is wise, somebody has to read.")
def main(engine: str, models: tuple[str, ...], least: float, *, texts: bool) -> None:
    """Let an engine advise the people of the evaluation set, and score it from 0 to 1 by five criteria.

    truth: data points are the person's own figures. aim: the weakest metric is spoken of early. form: texts and count
    are within the limits. novelty: it is not last week's advice again. heed: what the person said of that is respected.

    OpenAI is asked once for each person, with the settings of the service (environment and .env). Exits with 1 where a
    mean score is under --least.
    """
    try:
        settings = read(environment(Path.cwd()))
    except SettingsError as error:
        raise click.UsageError(str(error)) from error
    if engine == "openai" and settings.openai_api_key is None:
        raise click.UsageError("--engine openai: expected a key in OPENAI_API_KEY")
    if engine == "rules" and models:
        raise click.UsageError("--model: the rules have none")
    found = asyncio.run(evaluate(settings, engine, models or (settings.openai_model,), texts=texts))
    if min(found) < least:
        raise SystemExit(1)


async def evaluate(settings: Settings, name: str, models: tuple[str, ...], *, texts: bool) -> list[float]:
    """Judge an engine, or each of its models, and print a table for each; give all mean scores."""
    console = Console()
    found: list[float] = []
    for model in models:
        async with opened(replace(settings, openai_model=model), name) as engine:
            results = [await judge(engine, person) for person in PEOPLE]
        console.print(table(engine, results))
        if texts:
            print_texts(console, results)
        found += means(results).values()
    return found


@asynccontextmanager
async def opened(settings: Settings, name: str) -> AsyncIterator[Engine]:
    """Open an engine for as long as it is used."""
    openai = open_openai(settings) if name == "openai" else None
    try:
        yield openai or Rules()
    finally:
        if openai is not None:
            await openai.close()


def table(engine: Engine, results: list[Result]) -> Table:
    """Lay out what an engine achieved: a row for each person, and the means."""
    names = [criterion.__name__ for criterion in CRITERIA]
    tokens = sum(result.usage.tokens_in + result.usage.tokens_out for result in results)
    laid_out = Table(
        title=f"{engine.name}, model {engine.model or 'none'}, prompt version {engine.prompt_version or 'none'}",
        caption=f"{sum(result.usage.calls for result in results)} calls, {tokens:,} tokens",
        show_footer=True,
    )
    footer = means(results)
    laid_out.add_column("", "mean")
    for name in names:
        laid_out.add_column(name, f"{footer[name]:.2f}", justify="right")
    laid_out.add_column("outcome")
    for result in results:
        laid_out.add_row(result.person.name, *map(written, (result.scores[name] for name in names)), result.outcome)
    return laid_out


def written(score: float | None) -> str:
    """Write a score down."""
    return "-" if score is None else f"{score:.2f}"


def print_texts(console: Console, results: list[Result]) -> None:
    """Print what was advised to whom."""
    for result in results:
        console.print(result.person.name, style="bold")
        for piece in result.advice:
            # Not to be read as markup: an engine's text is not ours.
            console.print(f"  {piece.topic}: {piece.recommendation} {piece.reasoning}", markup=False, highlight=False)


if __name__ == "__main__":
    main()
