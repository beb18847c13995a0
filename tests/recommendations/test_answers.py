"""Answers out of what is kept: those that are remembered are given only while Postgres says that they hold."""

import json
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from service.caller import Caller
from service.database import Connection, Database
from service.queries import Query
from service.recommendations.answers import MOST_REMEMBERED, Answers
from service.recommendations.batch import Batch, Keeping
from service.recommendations.feedback import Feedback, judge, mark_viewed
from service.recommendations.story import Recommender
from service.seal import Seal
from tests.conftest import NOW, SEAL_KEY, MakeCaller
from tests.recommendations.scripted import HOUR, Scripted, failing

STALE_BEFORE = NOW - timedelta(hours=1)
Change = Callable[[Database, Caller, UUID], Coroutine[Any, Any, object]]


class Noting(Database):
    """Notes how many rows came, and of how many columns each has a value."""

    rows: list[list[int]]

    async def read(self, caller: Caller, query: Query, **values: object) -> list[asyncpg.Record]:
        found = await super().read(caller, query, **values)
        self.rows.append([sum(value is not None for value in row.values()) for row in found])
        return found


@pytest.fixture
async def noting(service_url: str) -> AsyncIterator[Noting]:
    opened = await Noting.open(service_url, 1, Seal(SEAL_KEY))
    opened.rows = []
    yield opened
    await opened.close()


async def given(database: Database, person: Caller, *sizes: int) -> Batch:
    """Have recommendations made for somebody, and kept."""
    return await Recommender(database, Scripted(*sizes), HOUR).recommend(person, NOW)


async def body_of(answers: Answers, person: Caller) -> dict[str, Any]:
    answer = await answers.find(person, NOW, [])
    assert answer is not None
    assert answer.body is not None
    found: dict[str, Any] = json.loads(answer.body)
    return found


async def test_the_rows_come_once_and_then_only_their_revision(
    database: Database, noting: Noting, person: Caller
) -> None:
    await given(database, person)
    answers = Answers(noting, HOUR)
    found = [await answers.find(person, NOW, []) for _ in range(3)]

    assert found[0] is not None
    assert found[1:] == [found[0], found[0]]
    assert found[0].expires_at == NOW + timedelta(hours=1)
    assert noting.rows == [[13] * 5, [3], [3]]


async def test_who_has_the_answer_is_given_none_and_its_rows_are_not_read(
    database: Database, noting: Noting, person: Caller
) -> None:
    await given(database, person)
    here, elsewhere = Answers(noting, HOUR), Answers(database, HOUR)
    known = await elsewhere.find(person, NOW, [])
    assert known is not None
    found = await here.find(person, NOW, ['"another"', f"W/{known.tag}"])

    assert found is not None
    assert (found.tag, found.expires_at, found.body) == (known.tag, known.expires_at, None)
    assert noting.rows == [[3]]


async def test_of_ever_so_many_tags_that_are_named_the_right_one_counts(database: Database, person: Caller) -> None:
    await given(database, person)
    answers = Answers(database, HOUR)
    known = await answers.find(person, NOW, [])
    assert known is not None
    form = known.tag.rpartition("-")[2]
    others = [f'"{number:032x}-{form}' for number in range(40)]

    assert (await answers.find(person, NOW, [*others, known.tag])) == known.__class__(known.tag, known.expires_at, None)
    assert (await Answers(database, HOUR).find(person, NOW, [*others, known.tag])).body is None  # type: ignore[union-attr]
    assert (await Answers(database, HOUR).find(person, NOW, others)) == known


async def see(database: Database, person: Caller, which: UUID) -> None:
    await mark_viewed(database, person, NOW, which)


async def praise(database: Database, person: Caller, which: UUID) -> None:
    await judge(database, person, NOW, which, Feedback(helpful=True))


async def blame(database: Database, person: Caller, which: UUID) -> None:
    await judge(database, person, NOW, which, Feedback(helpful=False))


async def renew(database: Database, person: Caller, _: UUID) -> None:
    await Recommender(database, Scripted(text="Walk"), HOUR).refresh(person, NOW)


@pytest.mark.parametrize("change", [see, praise, blame, renew])
@pytest.mark.parametrize("position", [0, 4])
async def test_what_changes_elsewhere_shows_at_once_and_under_another_tag(
    database: Database, person: Caller, change: Change, position: int
) -> None:
    batch = await given(database, person)
    answers = Answers(database, HOUR)
    before = await answers.find(person, NOW, [])
    assert before is not None
    await change(database, person, batch.recommendations[position].id)
    after = await answers.find(person, NOW + timedelta(seconds=1), [before.tag])

    assert after is not None
    assert after.body is not None
    assert after.tag != before.tag
    assert after.body != before.body
    kept = await Recommender(database, Scripted(), HOUR).find_kept(person, NOW)
    assert kept is not None
    assert [each["id"] for each in json.loads(after.body)["recommendations"]] == [
        str(each.id) for each in kept.recommendations
    ]


async def test_another_word_on_the_same_recommendation_has_another_tag(database: Database, person: Caller) -> None:
    which = (await given(database, person)).recommendations[0].id
    tags = set()
    for helpful in (True, False, True):
        await judge(database, person, NOW, which, Feedback(helpful=helpful))
        answer = await Answers(database, HOUR).find(person, NOW, [])
        assert answer is not None
        tags.add(answer.tag)
    assert len(tags) == 2


async def test_what_is_gone_or_stale_is_not_given(database: Database, admin: Connection, person: Caller) -> None:
    await given(database, person)
    answers = Answers(database, Keeping(stale=timedelta(hours=1)))
    assert await answers.find(person, NOW + timedelta(seconds=3599), []) is not None
    assert await answers.find(person, NOW + timedelta(seconds=3600), []) is None
    await admin.execute("delete from app.user_recommendations where user_id = $1", person.user_id)
    assert await answers.find(person, NOW, []) is None


async def test_what_stands_in_for_a_failed_engine_is_good_for_minutes(database: Database, person: Caller) -> None:
    await Recommender(database, Scripted(error=failing()), HOUR).recommend(person, NOW)
    answer = await Answers(database, HOUR).find(person, NOW, [])

    assert answer is not None
    assert answer.expires_at == NOW + timedelta(minutes=5)


async def test_a_smaller_batch_hides_the_one_before(database: Database, person: Caller) -> None:
    await given(database, person)
    later = NOW + timedelta(minutes=1)
    await Recommender(database, Scripted(2), HOUR).refresh(person, later)
    answer = await Answers(database, HOUR).find(person, later, [])

    assert answer is not None
    assert answer.expires_at == later + timedelta(hours=1)
    assert len(json.loads(answer.body or b"")["recommendations"]) == 2


async def test_each_is_given_their_own(database: Database, person: Caller, make_caller: MakeCaller) -> None:
    others = [await make_caller(person), await make_caller(), Caller(uuid4(), person.user_id)]
    batch = await given(database, person)
    answers = Answers(database, HOUR)
    tag = (await answers.find(person, NOW, [])).tag  # type: ignore[union-attr]  # it is there

    assert [await answers.find(other, NOW, [tag, "*"]) for other in others] == [None, None, None]
    assert [each["id"] for each in (await body_of(answers, person))["recommendations"]] == [
        str(each.id) for each in batch.recommendations
    ]


async def test_another_life_or_release_has_other_tags(database: Database, person: Caller) -> None:
    await given(database, person)
    first, other = [
        await Answers(database, keeping).find(person, NOW, []) for keeping in (HOUR, Keeping(HOUR.life * 2))
    ]

    assert first is not None
    assert other is not None
    assert first.tag.partition("-")[0] == other.tag.partition("-")[0]
    assert first.tag != other.tag
    again = await Answers(database, HOUR).find(person, NOW, [other.tag])
    assert again is not None
    assert again.body == first.body


async def test_no_more_answers_are_remembered_than_there_is_room_for(
    database: Database, admin: Connection, person: Caller
) -> None:
    await given(database, person)
    people = [Caller(person.tenant_id, uuid4()) for _ in range(MOST_REMEMBERED)]
    ids = [each.user_id for each in people]
    await admin.execute(
        "insert into app.users (tenant_id, user_id, email) select $1, id, id || '@example.test'"
        " from unnest($2::uuid[]) as id",
        person.tenant_id,
        ids,
    )
    await admin.execute(
        "insert into app.user_recommendations (tenant_id, id, user_id, generated_at, position, engine, recommendation,"
        " reasoning, based_on) select tenant_id, gen_random_uuid(), other, generated_at, 1, engine, recommendation,"
        " reasoning, based_on from app.user_recommendations, unnest($2::uuid[]) as other"
        " where user_id = $1 and position = 1",
        person.user_id,
        ids,
    )
    answers = Answers(database, HOUR)
    for each in (person, *people):
        assert await answers.find(each, NOW, []) is not None

    assert len(answers._given) == MOST_REMEMBERED
    assert person not in answers._given
    assert people[-1] in answers._given
