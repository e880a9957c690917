"""Sixteen writers at once, with delays before they commit and rollbacks: rules, cache and history.

Shown to fail on planted bugs: an UPDATE that does not note the key it takes away (the rules as of a
generation differ), a generation taken at the first statement instead of at commit (the open
transaction blocks all), a cache that asks for the generation after it has read the rows.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import product

import pytest
from sqlalchemy import select, text

from rules_store.cache import RulesCache
from rules_store.history_tables import generations
from rules_store.loading import SqlRulesSource
from rules_store.migrating import upgrade
from rules_store.snapshot import Snapshot
from rules_store.sql import SqlRulesStore, engine_for
from schemas.events import Routing
from schemas.rules import TenantRules
from schemas.vocabulary import TICKABLE, AccountId, Generation, TenantId
from tests.builders import a_routing
from tests.campaigns.rules_writers import ACCOUNTS, TENANTS, Writer
from tests.real.postgresql import PostgreSQL
from tests.real.waiting import wait_until

pytestmark = [pytest.mark.postgresql, pytest.mark.timeout(600)]

WRITERS = 16
CHANGES = 10_000
READ_BACK = 200


@dataclass(slots=True)
class Recorder:
    """Looks at the store again and again, and keeps what one tenant was at which generation."""

    store: SqlRulesStore
    seen: dict[tuple[Generation, TenantId], TenantRules | None] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)

    def record(self) -> None:
        chance = random.Random(1)
        while not self._stop.wait(0.05):
            rules_at = self.store.load().rules
            tenant_id = TenantId(chance.choice(TENANTS))
            held = {tenant.tenant.tenant_id: tenant for tenant in rules_at.tenants}
            self.seen[rules_at.generation, tenant_id] = held.get(tenant_id)

    def stop(self) -> None:
        self._stop.set()


@dataclass(slots=True)
class Watcher:
    """Notes every generation that a cache shows, in the order it shows them."""

    cache: RulesCache
    shown: list[Generation] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        while not self._stop.wait(0.002):
            now = self.cache.generation
            if not self.shown or self.shown[-1] != now:
                self.shown.append(now)

    def stop(self) -> None:
        self._stop.set()


@dataclass(frozen=True, slots=True)
class Campaign:
    """What is left when all writers are done, and a transaction left open all the while too."""

    store: SqlRulesStore
    cache: RulesCache
    seen: dict[tuple[Generation, TenantId], TenantRules | None]
    shown: Sequence[Generation]
    first: Generation
    last_of_writers: Generation

    def generations(self) -> list[tuple[Generation, datetime, str | None]]:
        """Return every generation since the writers began, in order, with when and by whom."""
        query = (
            select(generations.c.generation, generations.c.changed_at, generations.c.changed_by)
            .where(generations.c.generation > self.first)
            .order_by(generations.c.generation)
        )
        with self.store.engine.connect() as connection:
            return [(number, at, by) for number, at, by in connection.execute(query)]


@pytest.fixture(scope="module")
def campaign(postgresql: PostgreSQL) -> Iterator[Campaign]:
    url = postgresql.url()
    upgrade(url)
    engine = engine_for(url)
    store = SqlRulesStore(engine)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO push_tenants (tenant_id, name) VALUES ('open', 'O')"))
    cache = RulesCache(SqlRulesSource(engine), timedelta(milliseconds=100), time.monotonic)
    cache.start(threading.Event())
    yield run(store, cache, url)
    cache.stop()
    engine.dispose()


def run(store: SqlRulesStore, cache: RulesCache, url: str) -> Campaign:
    """Let all write at once, with one transaction open from the beginning to the end."""
    recorder, watcher, first = Recorder(store), Watcher(cache), store.generation()
    writers = [Writer(f"writer-{n}", url, CHANGES // WRITERS) for n in range(WRITERS)]
    with ThreadPoolExecutor(WRITERS + 2) as pool, store.engine.connect() as left_open:
        left_open.execute(text("UPDATE push_tenants SET name = 'X' WHERE tenant_id = 'open'"))
        looking = [pool.submit(recorder.record), pool.submit(watcher.watch)]
        try:
            for writing in [pool.submit(writer.write) for writer in writers]:
                writing.result()
            recorder.stop()
            last_of_writers = store.generation()
            left_open.commit()
            wait_until(lambda: cache.generation == store.generation(), "the cache has it all")
        finally:
            recorder.stop()
            watcher.stop()
        for done in looking:
            done.result()
    return Campaign(store, cache, recorder.seen, watcher.shown, first, last_of_writers)


def test_every_generation_is_in_the_history_once_and_in_order(campaign: Campaign) -> None:
    numbers, instants, _ = zip(*campaign.generations(), strict=True)

    changes = WRITERS * (CHANGES // WRITERS) + 1  # and the transaction left open
    assert list(numbers) == [campaign.first + n for n in range(1, changes + 1)]
    assert list(instants) == sorted(instants)


def test_each_writer_made_as_many_generations_as_changes_it_committed(campaign: Campaign) -> None:
    by_writer = Counter(by for _, _, by in campaign.generations() if by is not None)

    assert by_writer == {f"writer-{n}": CHANGES // WRITERS for n in range(WRITERS)}


def test_the_transaction_left_open_came_last_and_kept_nobody_waiting(campaign: Campaign) -> None:
    *_, (generation, _, by) = campaign.generations()

    assert (generation, by) == (campaign.last_of_writers + 1, None)


def test_the_cache_ends_equal_to_the_database(campaign: Campaign) -> None:
    loaded = campaign.store.load()
    stored = Snapshot.compile(loaded.rules, loaded.rejected)

    cached = campaign.cache.current()

    assert cached.generation == stored.generation
    assert [cached.wanting(routing) for routing in every_routing()] == [
        stored.wanting(routing) for routing in every_routing()
    ]


def every_routing() -> Iterator[Routing]:
    """Yield what can happen to these tenants: each status with each account and with none."""
    for tenant_id, status in product(map(TenantId, TENANTS), TICKABLE):
        for account_ids in ((), *((AccountId(account),) for account in ACCOUNTS)):
            yield a_routing(tenant_id=tenant_id, status=status.value, account_ids=account_ids)


def test_the_caches_generation_never_went_back(campaign: Campaign) -> None:
    assert len(campaign.shown) > 10  # it did follow
    assert list(campaign.shown) == sorted(set(campaign.shown))


def test_rules_read_back_from_the_history_are_those_that_were_seen_then(
    campaign: Campaign,
) -> None:
    chosen = random.Random(2).sample(list(campaign.seen.items()), READ_BACK)

    read_back = [(key, campaign.store.load_as_of(key[1], key[0])) for key, _ in chosen]

    assert read_back == chosen
