"""What is measured, round by round."""

import json
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID, uuid4

import msgspec
from msgspec import Struct

from service.caller import Caller
from service.database import Connection
from service.runtime import utc_now
from tests.bench.figures import Figure, Target, figure, ratio
from tests.bench.inside import check_tokens, record
from tests.bench.load import Job, Load, Result
from tests.bench.servers import RECOMMENDATIONS, Ground, Server, answer, run_daymark, serving

CONNECTIONS = 32
LAPS, SECONDS = 2, 0.6  # of each load in a round: how often, and for how long
WARM_UP = 10_000  # requests: a process that was just started is slower, by a sixth, for a second or two
# At half load, many short looks: where a machine is shared, each core is taken from it for 4 to 8 ms about once a
# second, and who asks meanwhile is more than the last hundredth of a second's requests. Two looks in three of this
# length are spared that; the median of all shows the service.
LOOKS, LOOK_SECONDS = 10, 0.2
PEOPLE = 200  # who ask, in turns
LOOKED_AT = 200  # requests that are looked at inside Postgres, in a round
PATTERNS = "/api/insights/patterns"
SCORES = {"energy": 70, "focus": 60, "fulfillment": 80}
THOUSAND = 1_000
MOST_STORED = 100  # requests of a thousand days each in a round
IMPORTED = (1_000, 100)  # people, and days of each
REQUESTS = (10_000, 100_000)

# What the figures are of.
NOTHING = "a  a route that does nothing"
CACHED = "b  recommendations, cached"
NEW = "b  the first time that a worker is asked by them"
WEEK, QUARTER = "c  patterns of 7 days", "c  patterns of 90 days"
STORE_DAY = "d  storing one day"
STORE_DAYS = "d  storing 1,000 days in one request"
IMPORT = "d  daymark import"
OPEN = "e  b without the wall"
COMMON = "f  b with what everybody does"
TOKEN, TOKEN_AGAIN = "g  a token, the first time", "g  a token, again"
INSIDE = "h  in Postgres: "
START_MEMORY, *MEMORY = ["i  a worker, at the start", *(f"i  a worker, after {count:,} requests" for count in REQUESTS)]
GROWTH = "i  its growth from the one to the other"
START = "j  start to first answer"
NOTHING_HALF, HALF = "a at half that rate", "b at half that rate"

RATE, P50, P99, BUSY = "requests/s", "p50 ms", "p99 ms", "load's core"
RSS, PSS, RATIO = "RSS MiB", "PSS MiB", "times"
RATIOS = {
    "b of a": ((CACHED, RATE), (NOTHING, RATE)),
    "c of a, 7 days": ((WEEK, RATE), (NOTHING, RATE)),
    "c of a, 90 days": ((QUARTER, RATE), (NOTHING, RATE)),
    "b of e": ((CACHED, RATE), (OPEN, RATE)),
    "b of f": ((CACHED, RATE), (COMMON, RATE)),
    "g again, of the first time": ((TOKEN_AGAIN, "µs"), (TOKEN, "µs")),
    "a at half that rate, p99 of p50": ((NOTHING_HALF, P99), (NOTHING_HALF, P50)),
    "b at half that rate, p99 of p50": ((HALF, P99), (HALF, P50)),
}
TARGETS = (
    Target("b of a", RATIO, "at least", 0.40),
    Target("b of e", RATIO, "at least", 0.90),
    Target("b of f", RATIO, "at least", 1.5),
    Target(INSIDE + "b", "buffers", "at most", 8),
    Target(INSIDE + "b", "planning ms", "under", 0.1),
    Target("g again, of the first time", RATIO, "at most", 1 / 20),
    Target(MEMORY[-1], RSS, "at most", 120),
    Target(GROWTH, "%", "under", 2),
    Target(START, "s", "under", 1.2),
    Target("b at half that rate, p99 of p50", RATIO, "at most", 3),
    Target(STORE_DAYS, "rows/s", "at least", 20_000),
    Target(IMPORT, "lines/s", "at least", 30_000),
)


class Servers(Struct, frozen=True):
    """The service and its twins."""

    ours: Server
    without_wall: Server
    common: Server


@contextmanager
def all_serving(ground: Ground) -> Iterator[Servers]:
    """Start all three."""
    with (
        serving(ground) as ours,
        serving(ground, "bench_open") as without_wall,
        serving(ground, "bench_common") as common,
    ):
        yield Servers(ours, without_wall, common)


class Bench:
    """The samples of each figure so far."""

    def __init__(self, ground: Ground, load: Load, admin: Connection, writers: UUID) -> None:
        self.ground = ground
        self.load = load
        self.admin = admin
        self.writers = writers
        """The tenant for what is stored on the way."""
        self.everybody = ground.tokens_of(ground.people)
        self.tokens = self.everybody[:PEOPLE]
        self.samples: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        yesterday = utc_now().date() - timedelta(days=1)
        days = [{"date": str(yesterday - timedelta(days=number)), **SCORES} for number in range(THOUSAND)]
        self.day, self.days = json.dumps(days[0]), json.dumps(days)

    def figures(self) -> dict[str, dict[str, Figure]]:
        """Sum up all that was sampled, and the ratios of what was sampled in the same round."""
        found = {
            subject: {aspect: figure(samples) for aspect, samples in aspects.items()}
            for subject, aspects in sorted(self.samples.items(), key=lambda each: each[0][0])
        }
        for name, parts in RATIOS.items():
            ours, theirs = (self.samples[subject][aspect] for subject, aspect in parts)
            found[name] = {RATIO: ratio(ours, theirs)}
        return found

    def age(self, server: Server) -> None:
        """See what a worker's memory does as it answers; everybody has their recommendations made on the way."""
        self._sample_memory(START_MEMORY, server)
        answered = 0
        grown = []
        for subject, count in zip(MEMORY, REQUESTS, strict=True):
            self.load.run(Job(server.port, RECOMMENDATIONS, self.tokens, CONNECTIONS, count=count - answered))
            answered = count
            grown.append(self._sample_memory(subject, server))
        self._sample(GROWTH, {"%": (grown[-1] / grown[0] - 1) * 100})

    def _compare_answers(self, servers: Servers) -> None:
        """End the benchmark unless the twins answer, byte for byte, as the service does."""
        ports = [each.port for each in (servers.ours, servers.without_wall, servers.common)]
        for token in self.tokens[:5]:
            answers = {answer(port, RECOMMENDATIONS, token) for port in ports}
            if len(answers) != 1 or b'"cached":true' not in answers.pop():
                raise SystemExit("the twins of the service do not answer as it does")

    async def round(self) -> None:
        """Sample every figure once.

        On processes of its own: two of the same program differ by some percent in speed, for as long as they run.
        """
        with all_serving(self.ground) as servers:
            self._sample(START, {"s": servers.ours.started})
            # Neither their tokens nor their answers are known yet.
            everybody = self.everybody
            self._strain(NEW, Job(servers.ours.port, RECOMMENDATIONS, everybody, CONNECTIONS, count=len(everybody)))
            for server in (servers.ours, servers.without_wall, servers.common):
                self.load.run(Job(server.port, RECOMMENDATIONS, self.tokens, CONNECTIONS, count=WARM_UP))
            self._compare_answers(servers)
            await self._sample_all(servers)

    async def _sample_all(self, servers: Servers) -> None:
        ours, tokens = servers.ours.port, self.tokens
        for _ in range(LAPS):
            nothing = self._strain(NOTHING, Job(ours, "/health/live", tokens, CONNECTIONS, SECONDS))
            cached = self._strain(CACHED, Job(ours, RECOMMENDATIONS, tokens, CONNECTIONS, SECONDS))
            self._strain(OPEN, Job(servers.without_wall.port, RECOMMENDATIONS, tokens, CONNECTIONS, SECONDS))
            self._strain(COMMON, Job(servers.common.port, RECOMMENDATIONS, tokens, CONNECTIONS, SECONDS))
            self._strain(WEEK, Job(ours, f"{PATTERNS}?days=7", tokens, CONNECTIONS, SECONDS))
            self._strain(QUARTER, Job(ours, f"{PATTERNS}?days=90", tokens, CONNECTIONS, SECONDS))
        for _ in range(LOOKS):
            self._look(NOTHING_HALF, Job(ours, "/health/live", tokens, CONNECTIONS, rate=nothing.rate / 2))
            self._look(HALF, Job(ours, RECOMMENDATIONS, tokens, CONNECTIONS, rate=cached.rate / 2))
        writers = self._strangers(CONNECTIONS)
        self._strain(STORE_DAY, Job(ours, PATTERNS, writers, CONNECTIONS, SECONDS, body=self.day))
        stored = self.load.run(Job(ours, PATTERNS, self._strangers(MOST_STORED), 1, SECONDS, body=self.days))
        self._sample(STORE_DAYS, {"rows/s": stored.rate * THOUSAND})
        first, again = check_tokens(self.ground.tokens)
        self._sample(TOKEN, {"µs": first})
        self._sample(TOKEN_AGAIN, {"µs": again})
        await self._look_inside("b", Job(ours, RECOMMENDATIONS, tokens, 1, count=LOOKED_AT))
        await self._look_inside("c, 7 days", Job(ours, f"{PATTERNS}?days=7", tokens, 1, count=LOOKED_AT))
        await self._look_inside("c, 90 days", Job(ours, f"{PATTERNS}?days=90", tokens, 1, count=LOOKED_AT))
        await self._look_inside("d, one day", Job(ours, PATTERNS, writers, 1, count=LOOKED_AT, body=self.day))
        await self._look_inside("e", Job(servers.without_wall.port, RECOMMENDATIONS, tokens, 1, count=LOOKED_AT))
        await self._look_inside("f", Job(servers.common.port, RECOMMENDATIONS, tokens, 1, count=LOOKED_AT))

    async def import_days(self) -> None:
        """Time `daymark import`, from its start to its end, of a file of people who have nothing yet."""
        people, days = IMPORTED
        slug = f"import-{len(self.samples[IMPORT]['lines/s']) + 1}"
        tenant = await self.admin.fetchval(
            "insert into app.tenants (slug, name) values ($1, $1) returning tenant_id", slug
        )
        addresses = [f"person-{number}@{slug}.test" for number in range(people)]
        await self.admin.execute(
            "insert into app.users (tenant_id, email) select $1, unnest($2::text[])", tenant, addresses
        )
        yesterday = utc_now().date() - timedelta(days=1)
        scores = ",".join(map(str, SCORES.values()))
        lines = [f"{each},{yesterday - timedelta(days=day)},{scores}" for each in addresses for day in range(days)]
        file = self.ground.folder / f"{slug}.csv"
        file.write_text("\n".join([",".join(["user", "date", *SCORES]), *lines, ""]))
        began = time.perf_counter()
        run_daymark(self.ground, "import", slug, str(file))
        self._sample(IMPORT, {"lines/s": len(lines) / (time.perf_counter() - began)})

    def _sample(self, subject: str, aspects: Mapping[str, float]) -> None:
        for aspect, value in aspects.items():
            self.samples[subject][aspect].append(value)

    def _sample_memory(self, subject: str, server: Server) -> float:
        memory = server.memory()
        self._sample(subject, {RSS: memory.rss, PSS: memory.pss})
        return memory.rss

    def _strain(self, subject: str, job: Job) -> Result:
        result = self.load.run(job)
        self._sample(subject, {RATE: result.rate, P50: result.p50, P99: result.p99, BUSY: result.busy})
        return result

    def _look(self, subject: str, job: Job) -> None:
        self._strain(subject, msgspec.structs.replace(job, seconds=LOOK_SECONDS))

    def _strangers(self, count: int) -> list[str]:
        """Sign tokens of people whom the database has not met."""
        return self.ground.tokens_of([Caller(self.writers, uuid4()) for _ in range(count)])

    async def _look_inside(self, what: str, job: Job) -> None:
        inside = await record(self.admin, lambda: self.load.run(job).answered)
        aspects = {"ms": inside.execution, "planning ms": inside.planning}
        aspects |= {"buffers": inside.buffers, "statements": inside.statements}
        self._sample(INSIDE + what, aspects)
