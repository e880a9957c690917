import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest

from consumer.rules_in_force import RulesInForce, WhenTooOld
from rules_store.cache import RulesCache
from rules_store.memory import MemoryRulesStore
from rules_store.memory_source import MemoryRulesSource
from schemas.errors import RulesTooOld
from tests.builders import a_rule, a_tenant_with

OLDEST = timedelta(minutes=5)


@dataclass(slots=True)
class Seconds:
    """A clock one can set."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def cache(seconds: Seconds) -> Iterator[RulesCache]:
    store = MemoryRulesStore()
    store.apply([a_tenant_with(a_rule())])
    cache = RulesCache(MemoryRulesSource(store), timedelta(hours=9), seconds)
    cache.start(threading.Event())
    yield cache
    cache.stop()


def in_force(cache: RulesCache, seconds: Seconds, when_too_old: WhenTooOld) -> RulesInForce:
    return RulesInForce(cache=cache, oldest=OLDEST, when_too_old=when_too_old, monotonic=seconds)


@pytest.mark.parametrize("when_too_old", list(WhenTooOld))
def test_rules_that_are_current_are_handed_out(
    cache: RulesCache, seconds: Seconds, when_too_old: WhenTooOld
) -> None:
    rules = in_force(cache, seconds, when_too_old)
    seconds.now += OLDEST.total_seconds()

    assert rules() is cache.current()
    assert not rules.are_too_old


def test_by_default_too_old_rules_go_on_to_serve_and_are_told_once(
    cache: RulesCache, seconds: Seconds, caplog: pytest.LogCaptureFixture
) -> None:
    rules = in_force(cache, seconds, WhenTooOld.WARN)
    seconds.now += OLDEST.total_seconds() + 1

    assert (rules(), rules()) == (cache.current(), cache.current())

    assert [(r.levelno, r.getMessage()) for r in caplog.records] == [
        (logging.ERROR, "rules_too_old")
    ]
    assert rules.are_too_old


def test_a_worker_that_shall_pause_decides_nothing_by_too_old_rules(
    cache: RulesCache, seconds: Seconds
) -> None:
    rules = in_force(cache, seconds, WhenTooOld.PAUSE)
    seconds.now += OLDEST.total_seconds() + 1

    with pytest.raises(RulesTooOld, match="301 s"):
        rules()


def test_a_paused_worker_goes_on_once_the_store_answers(
    cache: RulesCache, seconds: Seconds, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "consumer.rules_in_force")
    rules = in_force(cache, seconds, WhenTooOld.PAUSE)
    seconds.now += OLDEST.total_seconds() + 1
    with pytest.raises(RulesTooOld):
        rules()

    cache.refresh()

    assert rules() is cache.current()
    assert [r.getMessage() for r in caplog.records] == ["rules_too_old", "rules_current_again"]
