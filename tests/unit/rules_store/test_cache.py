import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from rules_store.cache import RulesCache
from rules_store.memory import MemoryRulesStore
from rules_store.ports import LoadedRules
from schemas.errors import PushError, SchemaOutdated, StoreUnavailable
from schemas.vocabulary import Generation
from tests.builders import a_routing, a_rule, a_tenant_with

SOON = timedelta(milliseconds=5)
NEVER = timedelta(hours=1)


@dataclass(slots=True)
class Seconds:
    """A clock one can set."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@dataclass(slots=True)
class FaultyStore:
    """A store that fails as long as `fault` is set; `asked` is set whenever it is asked."""

    inner: MemoryRulesStore = field(default_factory=MemoryRulesStore)
    fault: PushError | None = None
    asked: threading.Event = field(default_factory=threading.Event)
    loads: int = 0

    def generation(self) -> Generation:
        self._ask()
        return self.inner.generation()

    def load(self) -> LoadedRules:
        self._ask()
        self.loads += 1
        return self.inner.load()

    def _ask(self) -> None:
        self.asked.set()
        if self.fault is not None:
            raise self.fault


@pytest.fixture
def store() -> FaultyStore:
    store = FaultyStore()
    store.inner.apply([a_tenant_with(a_rule())])
    return store


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def cache(store: FaultyStore, seconds: Seconds) -> Iterator[RulesCache]:
    cache = RulesCache(store, NEVER, seconds)
    yield cache
    cache.stop()


def started(cache: RulesCache) -> RulesCache:
    cache.start(threading.Event())
    return cache


def test_rules_are_there_once_it_has_started(cache: RulesCache) -> None:
    started(cache)

    assert cache.is_loaded
    assert (cache.generation, len(cache.current().wanting(a_routing()))) == (1, 1)


def test_a_change_is_felt_at_the_next_refresh(cache: RulesCache, store: FaultyStore) -> None:
    started(cache)
    before = cache.current()
    store.inner.apply([a_tenant_with()])

    cache.refresh()

    assert cache.current().wanting(a_routing()) == ()
    assert len(before.wanting(a_routing())) == 1  # who still holds the old one is not disturbed


def test_nothing_is_read_again_while_the_generation_stays(
    cache: RulesCache, store: FaultyStore
) -> None:
    started(cache)
    before = cache.current()

    cache.refresh()

    assert cache.current() is before
    assert store.loads == 1


def test_a_generation_that_went_back_is_a_change_too(cache: RulesCache, store: FaultyStore) -> None:
    # A database that was restored from a backup counts on from an earlier generation.
    started(cache)
    store.inner = MemoryRulesStore()

    cache.refresh()

    assert (cache.generation, cache.current().wanting(a_routing())) == (0, ())


def test_the_thread_feels_a_change(store: FaultyStore, seconds: Seconds) -> None:
    cache = started(RulesCache(store, SOON, seconds))
    store.inner.apply([a_tenant_with()])
    store.asked.clear()
    assert store.asked.wait(5)
    store.asked.clear()
    assert store.asked.wait(5)  # asked anew: what the time before found is swapped in

    cache.stop()

    assert cache.generation == 2


@pytest.mark.parametrize("fault", [StoreUnavailable(), SchemaOutdated()])
def test_the_last_good_rules_serve_while_the_store_is_away(
    cache: RulesCache, store: FaultyStore, seconds: Seconds, fault: PushError
) -> None:
    started(cache)
    store.fault = fault
    seconds.now += 60

    cache.refresh()

    assert len(cache.current().wanting(a_routing())) == 1
    assert (cache.load_failures, cache.age_seconds(seconds.now)) == (1, 60)


def test_rules_are_as_old_as_the_last_good_answer(
    cache: RulesCache, store: FaultyStore, seconds: Seconds
) -> None:
    started(cache)
    store.fault = StoreUnavailable()
    seconds.now += 60
    cache.refresh()
    store.fault = None

    cache.refresh()
    seconds.now += 2

    assert cache.age_seconds(seconds.now) == 2


def test_starting_waits_for_the_store_and_stops_when_told(
    cache: RulesCache, store: FaultyStore
) -> None:
    store.fault = StoreUnavailable()
    stop = threading.Event()
    starting = threading.Thread(target=cache.start, args=(stop,))

    starting.start()
    assert store.asked.wait(5)
    stop.set()
    starting.join(5)

    assert not starting.is_alive()
    assert not cache.is_loaded


def test_starting_with_outdated_tables_is_fatal(cache: RulesCache, store: FaultyStore) -> None:
    store.fault = SchemaOutdated()

    with pytest.raises(SchemaOutdated):
        started(cache)


def test_asking_before_there_are_rules_is_an_error_and_never_no_rules(cache: RulesCache) -> None:
    with pytest.raises(LookupError):
        cache.current()


def test_an_outage_is_logged_less_and_less_often_and_so_is_its_end(
    cache: RulesCache, store: FaultyStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "rules_store.cache")
    started(cache)
    caplog.clear()
    store.fault = StoreUnavailable()

    for _ in range(9):
        cache.refresh()
    store.fault = None
    cache.refresh()

    assert [record.getMessage() for record in caplog.records] == [
        *["rules_unavailable"] * 4,  # the first failure, the second, the fourth, the eighth
        "rules_available",
    ]
