import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from rules_store.cache import ROUND, RulesCache
from rules_store.memory import MemoryRulesStore
from rules_store.memory_source import MemoryRulesSource
from rules_store.rereading import SLICE
from rules_store.snapshot import Snapshot
from rules_store.sources import Changes, Progress
from schemas.errors import PushError, SchemaOutdated, StoreUnavailable
from schemas.rules import TenantRules
from schemas.vocabulary import Generation, TenantId
from tests.builders import a_routing, a_rule, a_tenant, a_tenant_with

SOON = timedelta(milliseconds=5)
NEVER = timedelta(hours=1)


@dataclass(slots=True)
class Seconds:
    """A clock one can set."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@dataclass(slots=True)
class FaultySource:
    """A source that fails as long as `fault` is set; `asked` is set whenever it is asked."""

    inner: MemoryRulesSource = field(default_factory=lambda: MemoryRulesSource(MemoryRulesStore()))
    fault: PushError | None = None
    asked: threading.Event = field(default_factory=threading.Event)
    loads: int = 0
    read: list[TenantId] = field(default_factory=list)  #: of a slow re-read
    on_read: Callable[[], object] = bool  #: called when a slice has been read

    def apply(self, *tenants: TenantRules) -> None:
        self.inner.store.apply(tenants)

    def generation(self) -> Generation:
        self._ask()
        return self.inner.generation()

    def load(self, tell: Callable[[Progress], None]) -> Snapshot:
        self._ask()
        self.loads += 1
        return self.inner.load(tell)

    def changes(self, since: Generation) -> Changes:
        self._ask()
        return self.inner.changes(since)

    def entries(self, tenant_ids: Sequence[TenantId]) -> Changes:
        self._ask()
        self.read += tenant_ids
        found = self.inner.entries(tenant_ids)
        self.on_read()
        return found

    def tenants_after(self, tenant_id: TenantId | None, most: int) -> Sequence[TenantId]:
        self._ask()
        return self.inner.tenants_after(tenant_id, most)

    def _ask(self) -> None:
        self.asked.set()
        if self.fault is not None:
            raise self.fault


@pytest.fixture
def source() -> FaultySource:
    source = FaultySource()
    source.apply(a_tenant_with(a_rule()))
    return source


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def cache(source: FaultySource, seconds: Seconds) -> Iterator[RulesCache]:
    cache = RulesCache(source, NEVER, seconds)
    yield cache
    cache.stop()


def started(cache: RulesCache) -> RulesCache:
    cache.start(threading.Event())
    return cache


def test_rules_are_there_once_it_has_started(cache: RulesCache) -> None:
    started(cache)

    assert cache.is_loaded
    assert (cache.generation, len(cache.current().wanting(a_routing()))) == (1, 1)


def test_a_change_is_felt_at_the_next_refresh(cache: RulesCache, source: FaultySource) -> None:
    started(cache)
    before = cache.current()
    source.apply(a_tenant_with())

    cache.refresh()

    assert cache.current().wanting(a_routing()) == ()
    assert len(before.wanting(a_routing())) == 1  # who still holds the old one is not disturbed


def test_nothing_is_read_again_while_the_generation_stays(
    cache: RulesCache, source: FaultySource
) -> None:
    started(cache)
    before = cache.current()

    cache.refresh()

    assert cache.current() is before
    assert source.loads == 1


def test_a_generation_that_went_back_is_a_change_too(
    cache: RulesCache, source: FaultySource
) -> None:
    # A database that was restored from a backup counts on from an earlier generation.
    started(cache)
    source.inner = MemoryRulesSource(MemoryRulesStore())

    cache.refresh()

    assert (cache.generation, cache.current().wanting(a_routing())) == (0, ())


def test_the_thread_feels_a_change(source: FaultySource, seconds: Seconds) -> None:
    cache = started(RulesCache(source, SOON, seconds))
    source.apply(a_tenant_with())
    source.asked.clear()
    assert source.asked.wait(5)
    source.asked.clear()
    assert source.asked.wait(5)  # asked anew: what the time before found is swapped in

    cache.stop()

    assert cache.generation == 2


@pytest.mark.parametrize("fault", [StoreUnavailable(), SchemaOutdated()])
def test_the_last_good_rules_serve_while_the_store_is_away(
    cache: RulesCache, source: FaultySource, seconds: Seconds, fault: PushError
) -> None:
    started(cache)
    source.fault = fault
    seconds.now += 60

    cache.refresh()

    assert len(cache.current().wanting(a_routing())) == 1
    assert (cache.load_failures, cache.age_seconds(seconds.now)) == (1, 60)


def test_rules_are_as_old_as_the_last_good_answer(
    cache: RulesCache, source: FaultySource, seconds: Seconds
) -> None:
    started(cache)
    source.fault = StoreUnavailable()
    seconds.now += 60
    cache.refresh()
    source.fault = None

    cache.refresh()
    seconds.now += 2

    assert cache.age_seconds(seconds.now) == 2


def test_starting_waits_for_the_store_and_stops_when_told(
    cache: RulesCache, source: FaultySource
) -> None:
    source.fault = StoreUnavailable()
    stop = threading.Event()
    starting = threading.Thread(target=cache.start, args=(stop,))

    starting.start()
    assert source.asked.wait(5)
    stop.set()
    starting.join(5)

    assert not starting.is_alive()
    assert not cache.is_loaded


def test_starting_with_outdated_tables_is_fatal(cache: RulesCache, source: FaultySource) -> None:
    source.fault = SchemaOutdated()

    with pytest.raises(SchemaOutdated):
        started(cache)


def test_asking_before_there_are_rules_is_an_error_and_never_no_rules(cache: RulesCache) -> None:
    with pytest.raises(LookupError):
        cache.current()


def test_an_outage_is_logged_less_and_less_often_and_so_is_its_end(
    cache: RulesCache, source: FaultySource, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "rules_store.cache")
    started(cache)
    caplog.clear()
    source.fault = StoreUnavailable()

    for _ in range(9):
        cache.refresh()
    source.fault = None
    cache.refresh()

    assert [record.getMessage() for record in caplog.records] == [
        *["rules_unavailable"] * 4,  # the first failure, the second, the fourth, the eighth
        "rules_available",
    ]


def another(name: str) -> TenantRules:
    """Return a tenant of its own with a rule."""
    tenant_id = TenantId(name)
    return a_tenant_with(a_rule(tenant_id=tenant_id), tenant=a_tenant(tenant_id=tenant_id))


def behind_our_back(source: FaultySource, *tenants: TenantRules) -> None:
    """Let the store hold other tenants than it did, without any generation that tells."""
    source.inner.store.tenants = {held.tenant.tenant_id: held for held in tenants}


def read_again(cache: RulesCache, seconds: Seconds) -> None:
    """Let a whole round of the slow re-read go by, a slice at a time."""
    for _ in range(8):
        seconds.now += ROUND.total_seconds() / 4
        cache.reread()


@pytest.mark.parametrize(
    ("held", "wanting"),
    [
        pytest.param([a_tenant_with(a_rule(enabled=False))], {}, id="a rule switched off"),
        pytest.param([], {}, id="a tenant gone"),
        pytest.param(
            [a_tenant_with(a_rule()), another("m-2")], {"m-10482": 1, "m-2": 1}, id="a new tenant"
        ),
    ],
)
def test_a_slow_reread_heals_what_no_generation_told(
    cache: RulesCache,
    source: FaultySource,
    seconds: Seconds,
    held: list[TenantRules],
    wanting: dict[str, int],
) -> None:
    started(cache)
    behind_our_back(source, *held)
    cache.refresh()
    assert len(cache.current().wanting(a_routing())) == 1

    read_again(cache, seconds)

    found = {
        name: len(cache.current().wanting(a_routing(tenant_id=TenantId(name))))
        for name in ("m-10482", "m-2")
    }
    assert {name: count for name, count in found.items() if count} == wanting
    assert (cache.healed, cache.generation) == (1, 1)


def test_a_reread_that_finds_all_as_it_should_be_changes_nothing(
    cache: RulesCache, source: FaultySource, seconds: Seconds
) -> None:
    started(cache)
    before = cache.current()

    read_again(cache, seconds)

    assert cache.current() is before
    assert (cache.healed, source.loads) == (0, 1)
    assert TenantId("m-10482") in source.read


def test_a_round_takes_its_time_and_reads_each_tenant_in_small_slices(
    source: FaultySource, seconds: Seconds
) -> None:
    # Would catch: all tenants read at once, which would hold up a batch.
    source.apply(*(another(f"m-{number}") for number in range(SLICE * 4)))
    cache = started(RulesCache(source, NEVER, seconds))

    seconds.now += ROUND.total_seconds() / 8
    cache.reread()
    cache.reread()  # at once again: not due

    assert len(source.read) <= 2 * SLICE
    cache.stop()


def test_a_slice_of_a_generation_that_is_not_here_yet_is_left_to_the_refresh(
    cache: RulesCache, source: FaultySource, seconds: Seconds
) -> None:
    # Would catch: rules of two generations in one snapshot.
    started(cache)
    before = cache.current()
    source.apply(a_tenant_with(), another("m-2"))

    read_again(cache, seconds)
    assert cache.current() is before
    cache.refresh()

    assert (cache.generation, len(cache.current().entries), cache.healed) == (2, 1, 0)


def test_a_tenant_that_a_refresh_brought_in_meanwhile_is_not_taken_back(
    cache: RulesCache, source: FaultySource, seconds: Seconds
) -> None:
    # Would catch: what a re-read found before a change put in the place of that change.
    started(cache)
    behind_our_back(source, a_tenant_with(a_rule(enabled=False)), another("m-2"))

    def change() -> None:
        source.on_read = bool
        source.apply(a_tenant_with(a_rule(subject="neu")), another("m-2"))
        cache.refresh()

    source.on_read = change
    read_again(cache, seconds)

    assert cache.current().wanting(a_routing())[0].rule.subject == "neu"
    assert cache.generation == 2


def test_a_reread_that_fails_is_counted_and_comes_again(
    cache: RulesCache, source: FaultySource, seconds: Seconds
) -> None:
    started(cache)
    behind_our_back(source)
    source.fault = StoreUnavailable()
    read_again(cache, seconds)
    failures = cache.load_failures
    source.fault = None

    read_again(cache, seconds)

    assert failures > 0
    assert len(cache.current().entries) == 0


def test_a_notice_is_felt_without_waiting_for_the_poll(
    source: FaultySource, seconds: Seconds
) -> None:
    cache = started(RulesCache(source, NEVER, seconds))
    source.apply(a_tenant_with())
    source.asked.clear()

    cache.wake()

    assert source.asked.wait(5)
    cache.stop()
    assert cache.generation == 2


def test_how_far_a_load_is_stands_in_the_log_and_a_stop_breaks_it_off(
    source: FaultySource, seconds: Seconds, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "rules_store.cache")
    stop = threading.Event()

    def beat() -> None:
        seconds.now += 3
        stop.set()

    cache = RulesCache(Telling(source), NEVER, seconds, beat=beat)
    cache.start(stop)

    (told,) = [record for record in caplog.records if record.getMessage() == "rules_loading"]
    assert (told.__dict__["tenants"], told.__dict__["of_tenants"]) == (1, 2)
    assert not cache.is_loaded


class Telling(FaultySource):
    """A source that tells twice how far its load is."""

    def __init__(self, source: FaultySource) -> None:
        super().__init__(source.inner)

    def load(self, tell: Callable[[Progress], None]) -> Snapshot:
        tell(Progress(1, 2, 10))
        tell(Progress(2, 2, 20))
        return super().load(tell)
