"""What a worker's rules cost, measured in a process of its own: one JSON object is its last line.

    python -m tests.benchmarks.rules_cache load|bare|live URL [FEW_URL] [--changes 200]

`bare` selects and fetches the rows that `load` reads, with the driver alone. `live` keeps a cache
as a worker does and changes rules under it; FEW_URL is a store with a hundredth of the rules.
"""

import argparse
import gc
import json
import logging
import random
import sqlite3
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg

from rules_store.cache import RulesCache
from rules_store.loading import SqlRulesSource
from rules_store.notices import Notices
from rules_store.rereading import Rereading
from rules_store.snapshot import Snapshot
from rules_store.sql import engine_for
from schemas.events import Routing
from schemas.vocabulary import AccountId, EventId, EventType, PaymentStatus, TenantId
from tests.benchmarks import rules_filling as filling
from tests.real.waiting import wait_until

POLL = timedelta(milliseconds=250)  # the default of PUSH_RULES_POLL
LOOK_UPS = 200_000
READ = [table for table in filling.TABLES if table != "push_bank_accounts"]  # what a load reads

Measured = dict[str, float]


def resident() -> int:
    """Return this process' resident memory in bytes."""
    with Path("/proc/self/statm").open(encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096


def load(url: str) -> Measured:
    """Load all rules, measure seconds and the growth of resident memory, then look rules up."""
    engine = engine_for(url)
    source = SqlRulesSource(engine)
    source.generation()
    gc.collect()
    before, began = resident(), time.perf_counter()
    snapshot = source.load(lambda _: None)
    seconds = time.perf_counter() - began
    gc.collect()
    gc.freeze()
    rules = sum(entry.rules for entry in snapshot.entries.values())
    memory = resident() - before
    engine.dispose()
    return {"rules": rules, "seconds": seconds, "bytes_per_rule": memory / rules}


def bare(url: str) -> Measured:
    """Select and fetch what a load reads, with the driver and nothing else."""
    with closing(connected(url)) as connection:
        began = time.perf_counter()
        for table in READ:
            connection.execute(f"SELECT {', '.join(filling.TABLES[table])} FROM {table}").fetchall()
        return {"seconds": time.perf_counter() - began}


def connected(url: str) -> Any:
    """Return a connection of the driver that belongs to a URL."""
    if url.startswith("sqlite:///"):
        return sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    return psycopg.connect(url, autocommit=True)


def live(url: str, few_url: str, changes: int) -> Measured:
    """Measure look-ups, refreshes, changes felt, and how long re-reading holds up a batch."""
    measured: Measured = {}
    engine, few_engine = engine_for(url), engine_for(few_url)
    cache, few = worker_cache(engine), worker_cache(few_engine)
    measured |= looked_up(cache.current(), few.current())
    for name, each, its_url in (("many", cache, url), ("few", few, few_url)):
        measured[f"refresh_{name}"] = refresh_seconds(each, its_url)
    measured |= held_up(cache, engine)
    few.stop()
    measured["felt_notices_off"] = felt(cache, url, changes)
    notices = Notices(engine, cache.wake)
    notices.start()
    if engine.dialect.name == "postgresql":
        wait_until(lambda: notices.is_heard, "notices come")
    measured["felt_notices_on"] = felt(cache, url, changes)
    notices.stop()
    cache.stop()
    engine.dispose()
    few_engine.dispose()
    return measured


def worker_cache(engine: Any) -> RulesCache:
    """Return a cache as `run` keeps one, its rules loaded."""
    cache = RulesCache(SqlRulesSource(engine), POLL, time.monotonic)
    cache.start(threading.Event())
    return cache


def routings(tenants: int, count: int, chance: random.Random) -> list[Routing]:
    """Return events of random tenants, statuses and accounts."""
    statuses = list(map(str, PaymentStatus))
    return [
        Routing(
            EventType.PAYMENT_STATUS_UPDATED,
            EventId("edff93a5-8932-4d1e-b0d0-32e37b6464f8"),
            TenantId(filling.tenant_name(tenant)),
            chance.choice(statuses),
            None,
            (AccountId(filling.account_name(tenant, chance.randrange(filling.ACCOUNTS))),),
        )
        for tenant in (chance.randrange(tenants) for _ in range(count))
    ]


def looked_up(many: Snapshot, few: Snapshot) -> Measured:
    """Measure look-ups among many rules and among a thousand, in turns: seconds each, and p99."""
    chance = random.Random(7)
    thousand = few.with_entries(
        few.generation,
        dict.fromkeys(sorted(few.entries)[1_000 // filling.RULES_OF_A_TENANT :]),
    )
    among_many = routings(len(many.entries), LOOK_UPS, chance)
    among_few = routings(len(thousand.entries), LOOK_UPS, chance)
    seconds: dict[str, list[float]] = {"many": [], "few": []}
    for at in range(0, LOOK_UPS, LOOK_UPS // 20):
        part = slice(at, at + LOOK_UPS // 20)
        seconds["many"].append(seconds_each(many, among_many[part]))
        seconds["few"].append(seconds_each(thousand, among_few[part]))
    clock, single = time.perf_counter_ns, []
    for routing in routings(len(many.entries), LOOK_UPS, chance):
        began = clock()
        many.matching(routing)
        single.append(clock() - began)
    began = clock()
    wanted = sum(len(many.wanting(routing)) for routing in among_many[:20_000])
    unpacking = clock() - began
    return {
        "look_up": statistics.median(seconds["many"]),
        "look_up_few": statistics.median(seconds["few"]),
        "look_up_p99": percentile(single, 0.99) / 1e9,
        "wanted": unpacking / 1e9 / wanted,
    }


def seconds_each(snapshot: Snapshot, asked: Sequence[Routing]) -> float:
    """Return what one look-up takes."""
    began = time.perf_counter()
    for routing in asked:
        snapshot.matching(routing)
    return (time.perf_counter() - began) / len(asked)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that so many of all do not exceed."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def changed_rule(url: str, tenant: int, subject: str) -> None:
    """Change one rule as an admin service does: raw SQL, committed at once."""
    mark = "?" if url.startswith("sqlite") else "%s"
    statement = (
        f"UPDATE push_rules SET subject = {mark} WHERE tenant_id = {mark} AND rule_id = {mark}"
    )
    with closing(connected(url)) as connection:
        key = (filling.tenant_name(tenant), filling.rule_name(tenant, 1))
        connection.execute(statement, (subject, *key))


def refresh_seconds(cache: RulesCache, url: str, times: int = 30) -> float:
    """Return what it takes to read one changed rule and to make the next snapshot."""
    source = SqlRulesSource(engine_for(url))
    taken = []
    for number in range(times):
        before = cache.current()
        since = source.generation()
        changed_rule(url, number, f"refreshed {time.monotonic_ns()}")
        began = time.perf_counter()
        source.generation()
        changes = source.changes(since)
        before.with_entries(changes.generation, changes.entries)
        taken.append(time.perf_counter() - began)
    source.engine.dispose()
    return statistics.median(taken)


def felt(cache: RulesCache, url: str, changes: int) -> float:
    """Return the p99 of the seconds from a commit until a batch goes by it.

    Batches follow one another without a pause, as in a worker that is behind: its rules have to be
    kept fresh beside them.
    """
    chance = random.Random(11)
    tenants = len(cache.current().entries)
    asked = routings(tenants, 1_000, chance)
    taken = []
    for number in range(changes):
        tenant = chance.randrange(tenants)
        name = TenantId(filling.tenant_name(tenant))
        before = cache.current().entries[name]
        time.sleep(chance.random() * POLL.total_seconds())  # anywhere between two polls
        changed_rule(url, tenant, f"changed {number} {time.monotonic_ns()}")
        began = time.perf_counter()
        while cache.current().entries[name] == before:
            if time.perf_counter() - began > 30:
                raise SystemExit("a change was not felt within 30 s")
            batch_seconds(cache.current(), asked)
        taken.append(time.perf_counter() - began)
    return percentile(taken, 0.99)


def held_up(cache: RulesCache, engine: Any, rounds: int = 5, batches: int = 40) -> Measured:
    """Return how much longer the slowest batch took beside slices of a re-read, and a slice.

    In turns with batches alone, whose slowest counts too: what else the machine does slows both.
    """
    snapshot = cache.current()
    asked = routings(len(snapshot.entries), 2_000, random.Random(13))
    usual: list[float] = []
    longer: list[float] = []
    slices: list[float] = []
    for _ in range(rounds):
        alone = [batch_seconds(snapshot, asked) for _ in range(batches)]
        with rereading(SqlRulesSource(engine), snapshot, slices):
            beside = [batch_seconds(snapshot, asked) for _ in range(batches)]
        usual += alone
        longer.append(max(beside) - max(alone))
    return {
        "held_up": statistics.median(longer),
        "slice": statistics.median(slices),
        "batch": statistics.median(usual),
    }


def batch_seconds(snapshot: Snapshot, asked: Sequence[Routing]) -> float:
    """Return what a batch takes: look-ups and unpacking, all of it on the interpreter."""
    began = time.perf_counter()
    for routing in asked:
        snapshot.wanting(routing)
    return time.perf_counter() - began


@contextmanager
def rereading(source: SqlRulesSource, snapshot: Snapshot, taken: list[float]) -> Iterator[None]:
    """Read slices again on a thread, one after another, far more often than a worker does."""
    stop = threading.Event()
    again = Rereading(source, timedelta(hours=1), time.monotonic)

    def read() -> None:
        while not stop.wait(0.05):
            began = time.perf_counter()
            again.next_slice(snapshot)
            taken.append(time.perf_counter() - began)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def main() -> None:
    """Measure what the command line says and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("load", "bare", "live"))
    parser.add_argument("url")
    parser.add_argument("few_url", nargs="?", default="")
    parser.add_argument("--changes", type=int, default=200)
    given = parser.parse_args()
    logging.disable(logging.INFO)
    if given.what == "live":
        measured = live(given.url, given.few_url, given.changes)
    else:
        measured = (load if given.what == "load" else bare)(given.url)
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
