"""How the service answers on a small and on a large database: the same load on both, in turns."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import timedelta

from rich.table import Table

from service.runtime import utc_now
from tests.bench import load
from tests.bench.figures import Figure, figure, spell
from tests.bench.load import Job
from tests.bench.rounds import CACHED, CONNECTIONS, NOTHING, PATTERNS, QUARTER, SCORES, SECONDS, STORE_DAY, WEEK
from tests.bench.servers import RECOMMENDATIONS, Ground, serving

ROUNDS = 7
P99 = "p99 ms of "


def serve_in_turns(grounds: Sequence[Ground]) -> dict[str, list[Figure]]:
    """Serve every database with one worker, and give the requests a second that each answers, and their p99."""
    found: dict[str, list[list[float]]] = defaultdict(lambda: [[] for _ in grounds])
    day = json.dumps({"date": str(utc_now().date() - timedelta(days=1)), **SCORES})
    with ExitStack() as held:
        loads = held.enter_context(load.running())
        servers = [held.enter_context(serving(each)) for each in grounds]
        tokens = [each.tokens_of(each.people) for each in grounds]
        for server, own in zip(servers, tokens, strict=True):
            # Whoever has no recommendations that are fresh gets them now.
            loads.run(Job(server.port, RECOMMENDATIONS, own, CONNECTIONS, count=2 * len(own)))
        for _ in range(ROUNDS):
            for position, (server, own) in enumerate(zip(servers, tokens, strict=True)):
                for subject, path, body in (
                    (NOTHING, "/health/live", ""),
                    (CACHED, RECOMMENDATIONS, ""),
                    (WEEK, f"{PATTERNS}?days=7", ""),
                    (QUARTER, f"{PATTERNS}?days=90", ""),
                    (STORE_DAY, PATTERNS, day),
                ):
                    result = loads.run(Job(server.port, path, own, CONNECTIONS, SECONDS, body=body))
                    found[subject][position].append(result.rate)
                    found[P99 + subject][position].append(result.p99)
    return {subject: [figure(samples) for samples in places] for subject, places in found.items()}


def table_of(served: Mapping[str, Sequence[Figure]], people: Sequence[int]) -> Table:
    """Tell what was found, and what the large one's is of the small one's."""
    table = Table(title="served by one worker each, requests a second (median of several looks)")
    table.add_column("")
    for count in people:
        table.add_column(f"{count:,} people", justify="right")
    table.add_column("ratio", justify="right")
    for subject, (small, large) in served.items():
        table.add_row(subject, spell(small.median), spell(large.median), f"{large.median / small.median:.2f}")
    return table
