"""What a person made of a recommendation: whose word counts, until when, and what it changes."""

from datetime import timedelta
from uuid import uuid4

import pytest

from service.caller import Caller
from service.database import Connection, Database
from service.errors import NotFound
from service.patterns.analysis import Day
from service.patterns.story import store_days
from service.recommendations.advice import DataPoint, History
from service.recommendations.feedback import Feedback, find_history, judge, mark_viewed
from service.recommendations.rules import Rules
from service.recommendations.story import Recommender
from tests.conftest import NOW, Clock, MakeCaller
from tests.recommendations.scripted import HOUR, Scripted, texts


async def test_seen_counts_the_first_time_only(database: Database, person: Caller) -> None:
    recommender, clock = Recommender(database, Scripted(), HOUR), Clock()
    which = (await recommender.recommend(person, clock())).recommendations[2]
    assert (which.viewed, which.viewed_at) == (False, None)

    clock.advance(minutes=5)
    first = await mark_viewed(database, person, clock(), which.id)
    clock.advance(minutes=5)
    second = await mark_viewed(database, person, clock(), which.id)
    kept = await recommender.recommend(person, clock())

    assert (first.viewed, first.viewed_at) == (True, NOW + timedelta(minutes=5))
    assert first.data_point == DataPoint("energy", "average", 60)
    assert second == first
    assert kept.recommendations[2] == first
    assert [each.viewed for each in kept.recommendations] == [False, False, True, False, False]


async def test_what_another_was_given_is_not_there(
    database: Database, person: Caller, stranger: Caller, make_caller: MakeCaller
) -> None:
    recommender = Recommender(database, Scripted(), HOUR)
    which = (await recommender.recommend(person, NOW)).recommendations[0].id

    for other in (stranger, await make_caller(person), await make_caller(person, role="admin")):
        with pytest.raises(NotFound):
            await mark_viewed(database, other, NOW, which)
    with pytest.raises(NotFound):
        await mark_viewed(database, person, NOW, uuid4())

    assert (await recommender.recommend(person, NOW)).recommendations[0].viewed is False


async def test_the_last_word_on_a_recommendation_counts_and_says_that_it_was_seen(
    database: Database, admin: Connection, person: Caller
) -> None:
    recommender, clock = Recommender(database, Scripted(), HOUR), Clock()
    which = (await recommender.recommend(person, clock())).recommendations[1].id

    clock.advance(minutes=1)
    first = await judge(database, person, clock(), which, Feedback(True, "Slept like a stone 💤"))
    clock.advance(minutes=1)
    last = await judge(database, person, clock(), which, Feedback(False))
    kept = await recommender.recommend(person, clock())
    row = await admin.fetchrow("select helpful, note, judged_at from app.user_recommendations where id = $1", which)

    assert (first.helpful, first.viewed, first.viewed_at) == (True, True, NOW + timedelta(minutes=1))
    assert (last.helpful, last.viewed_at) == (False, NOW + timedelta(minutes=1))
    assert kept.recommendations[1] == last
    assert row is not None
    assert tuple(row) == (False, None, NOW + timedelta(minutes=2))


async def test_another_has_no_say_on_it(
    database: Database, person: Caller, stranger: Caller, make_caller: MakeCaller
) -> None:
    recommender = Recommender(database, Scripted(), HOUR)
    which = (await recommender.recommend(person, NOW)).recommendations[0].id

    for other in (stranger, await make_caller(person), await make_caller(person, role="admin")):
        with pytest.raises(NotFound):
            await judge(database, other, NOW, which, Feedback(False))

    assert (await recommender.recommend(person, NOW)).recommendations[0].helpful is None


async def test_what_the_person_said_of_the_last_thirty_days_goes_to_the_engine(
    database: Database, person: Caller
) -> None:
    engine, clock = Scripted(), Clock()
    recommender = Recommender(database, engine, HOUR)
    first = await recommender.recommend(person, clock())
    await mark_viewed(database, person, clock(), first.recommendations[0].id)
    await judge(database, person, clock(), first.recommendations[1].id, Feedback(True, "my secret"))
    await judge(database, person, clock() + timedelta(seconds=1), first.recommendations[2].id, Feedback(False))

    histories = []
    for days in (0, 13, 15, 31):
        clock.now = NOW + timedelta(days=days, seconds=1, hours=1)
        await store_days(database, person, clock(), [Day(clock().date(), 60, 70, 81)])
        await recommender.recommend(person, clock())
        [standing] = engine.histories[-1].standings
        refused = sorted(engine.histories[-1].refused)
        histories.append(
            (standing.given, standing.viewed, standing.helpful, standing.unhelpful, standing.avoid, refused)
        )
        assert standing.topic == "rest"
        assert not standing.helped
        assert "my secret" not in repr(engine.histories[-1])

    assert engine.histories[0].standings == ()
    assert histories == [
        (5, 3, 1, 1, True, ["Rest 5.3"]),
        (10, 3, 1, 1, True, ["Rest 5.3"]),
        (15, 3, 1, 1, False, []),
        # The first batch is forgotten, and the one of the same day is 30 days old by a second.
        (10, 0, 0, 0, False, []),
    ]


async def test_what_was_called_unhelpful_does_not_come_back_within_14_days(database: Database, person: Caller) -> None:
    clock = Clock()
    recommender = Recommender(database, Rules(), HOUR)
    first = await recommender.recommend(person, clock())
    unwanted = first.recommendations[0]
    await judge(database, person, clock(), unwanted.id, Feedback(False))

    back = []
    for hours in range(4, 24 * 15, 4):
        clock.now = NOW + timedelta(hours=hours)
        await store_days(database, person, clock(), [Day(clock().date(), 60, 70, 81)])
        batch = await recommender.recommend(person, clock())
        assert len(batch.recommendations) >= 3
        if unwanted.recommendation in texts(batch) or unwanted.topic in {each.topic for each in batch.recommendations}:
            back.append(hours)

    assert back[0] >= 24 * 14


async def test_the_14_days_begin_when_it_was_called_unhelpful_however_long_ago_it_was_given(
    database: Database, person: Caller
) -> None:
    clock = Clock()
    recommender = Recommender(database, Rules(), HOUR)
    unwanted = (await recommender.recommend(person, clock())).recommendations[0]
    clock.advance(days=20)
    await judge(database, person, clock(), unwanted.id, Feedback(False))

    remembered = []
    for days in (29, 31, 33, 35):
        clock.now = NOW + timedelta(days=days)
        await store_days(database, person, clock(), [Day(clock().date(), 60, 70, 81)])
        history = await find_history(database, person, clock())
        batch = await recommender.recommend(person, clock())
        remembered.append((days, history.refused, history.avoided))
        if days < 34:
            assert unwanted.recommendation not in texts(batch)
            assert unwanted.topic not in {each.topic for each in batch.recommendations}

    assert remembered == [
        (29, {unwanted.recommendation}, ("rest",)),
        (31, {unwanted.recommendation}, ("rest",)),
        (33, {unwanted.recommendation}, ("rest",)),
        (35, frozenset(), ()),
    ]


async def test_the_last_word_on_a_topic_is_the_last_however_long_ago_the_advice_was_given(
    database: Database, person: Caller
) -> None:
    clock = Clock()
    recommender = Recommender(database, Scripted(), HOUR)
    old = (await recommender.recommend(person, clock())).recommendations[0]
    clock.advance(days=20)
    await store_days(database, person, clock(), [Day(clock().date(), 60, 70, 81)])
    new = (await recommender.recommend(person, clock())).recommendations[0]
    await judge(database, person, clock(), new.id, Feedback(False))
    clock.advance(minutes=1)
    await judge(database, person, clock(), old.id, Feedback(True))

    clock.advance(days=11)
    history = await find_history(database, person, clock())

    assert history.helped == ("rest",)
    assert history.avoided == ()
    assert history.refused == {new.recommendation}


async def test_advice_from_before_there_were_topics_can_be_refused_and_stands_for_no_topic(
    database: Database, admin: Connection, person: Caller
) -> None:
    clock = Clock()
    recommender = Recommender(database, Rules(), HOUR)
    first = (await recommender.recommend(person, clock())).recommendations
    await admin.execute("update app.user_recommendations set topic = null where user_id = $1", person.user_id)
    await judge(database, person, clock(), first[0].id, Feedback(False))
    clock.advance(hours=2)

    history = await find_history(database, person, clock())
    batch = await recommender.recommend(person, clock())

    assert history == History((), frozenset({first[0].recommendation}))
    assert first[0].recommendation not in texts(batch)
    assert first[1].recommendation in texts(batch)


async def test_what_another_engine_said_is_refused_in_other_case_and_punctuation_too(
    database: Database, admin: Connection, person: Caller
) -> None:
    clock = Clock()
    said = [
        "TAKE TWO SHORT BREAKS away from your desk each day this week: one before lunch, and one after!",
        "Choose a time to put work and screens away each evening this week - half an hour before bed",
    ]
    first = (await Recommender(database, Scripted(), HOUR).recommend(person, clock())).recommendations
    for piece, text in zip(first[:2], said, strict=True):
        # On a topic of which the findings have nothing to say, so that it is the text alone that is refused.
        await admin.execute(
            "update app.user_recommendations set recommendation = $2, topic = 'people' where id = $1", piece.id, text
        )
        await judge(database, person, clock(), piece.id, Feedback(False))
    clock.advance(hours=2)

    batch = await Recommender(database, Rules(), HOUR).recommend(person, clock())

    assert texts(batch)[0] == "Go outside for ten minutes before noon each day this week, and walk rather than sit."
