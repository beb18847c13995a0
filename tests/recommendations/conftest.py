"""What the tests of recommendations share."""

import pytest

from service.caller import Caller
from service.database import Database
from service.patterns.story import store_days
from tests.conftest import NOW
from tests.recommendations.scripted import DAY


@pytest.fixture
async def person(database: Database, caller: Caller) -> Caller:
    """Give somebody with a day recorded."""
    await store_days(database, caller, NOW, [DAY])
    return caller
