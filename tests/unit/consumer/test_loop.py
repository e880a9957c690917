import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

import pytest

from consumer.loop import LONGEST, Loop, one_thread, pauses
from consumer.memory import MemoryStream, MemoryTopics
from schemas.errors import AccessDenied, KafkaUnavailable, PushError, RegistryUnavailable
from schemas.records import Batch, Place, Publication
from tests.beside import AtOnce, WhenAsked

NO_PAUSE = (timedelta(0),)
ENDS = [pytest.param(AtOnce, id="settled first"), pytest.param(WhenAsked, id="prepared first")]


class Copied(NamedTuple):
    publications: Sequence[Publication]


@dataclass
class Copying:
    """Publishes each record's value, and stops the loop after so many settled batches."""

    stop: threading.Event
    batches: int = 1
    failures: dict[bytes, PushError] = field(default_factory=dict)  # by the value they come at
    seen: list[bytes | None] = field(default_factory=list)  # settled
    prepared: list[tuple[Sequence[bytes | None], Sequence[bytes | None] | None]] = field(
        default_factory=list
    )  # with what was under way

    def prepare(self, batch: Batch, under_way: Copied | None) -> Copied:
        self.prepared.append(
            (
                [record.value for record in batch.records],
                None if under_way is None else [each.value for each in under_way.publications],
            )
        )
        for record in batch.records:
            if (failure := self.failures.pop(record.value or b"", None)) is not None:
                raise failure
        return Copied([Publication("out", None, record.value) for record in batch.records])

    def settled(self, prepared: Copied, seconds: float) -> None:
        assert seconds >= 0
        self.seen += [each.value for each in prepared.publications]
        self.batches -= 1
        if self.batches == 0:
            self.stop.set()


@dataclass
class World:
    """What waits, what becomes of it, and what goes wrong, by the step at which it does."""

    topics: MemoryTopics = field(default_factory=MemoryTopics)
    postponed: list[str] = field(default_factory=list)
    failing: dict[str, list[PushError | None]] = field(default_factory=dict)
    collects: int = 1

    def put(self, *values: bytes) -> "World":
        for value in values:
            self.topics.append("in", value)
        return self

    def fail(self, step: str) -> None:
        failures = self.failing.get(step, [])
        failure = failures.pop(0) if failures else None
        if failure is not None:
            raise failure

    def run(
        self,
        work: Copying,
        *,
        most: int = 1,
        beside: Callable[[], Executor] = AtOnce,
        schedule: Sequence[timedelta] = NO_PAUSE,
        longest: float = LONGEST,
    ) -> "World":
        Loop(
            stream=MemoryStream(
                topics=self.topics, reads=["in"], most=self.collects, fail=self.fail
            ),
            work=work,
            most=most,
            stop=work.stop,
            beat=lambda: None,
            collected=lambda batch: work.stop.set() if batch.is_empty else None,
            postponed=self.postponed.append,
            schedule=schedule,
            longest=longest,
            beside=beside,
        ).run()
        return self

    @property
    def values(self) -> list[bytes | None]:
        return [publication.value for publication in self.topics.published]


def copying(batches: int = 1, failures: dict[bytes, PushError] | None = None) -> Copying:
    return Copying(threading.Event(), batches, failures or {})


def test_batches_are_settled_one_after_another_until_asked_to_stop() -> None:
    world = World().put(b"1", b"2", b"3").run(copying(batches=2))

    assert world.values == [b"1", b"2"]


def test_a_batch_whose_work_fails_for_now_comes_again() -> None:
    world = World().put(b"1").run(copying(failures={b"1": RegistryUnavailable()}))

    assert (world.values, world.postponed) == ([b"1"], ["RegistryUnavailable"])


def test_a_batch_that_could_not_be_settled_comes_again() -> None:
    world = World(failing={"settle": [KafkaUnavailable()]}).put(b"1").run(copying())

    assert world.values == [b"1"]


def test_a_batch_settled_without_a_known_answer_is_not_published_twice() -> None:
    world = World(failing={"settled": [KafkaUnavailable()]}).put(b"1", b"2").run(copying())

    assert world.values == [b"1", b"2"]


def test_what_a_human_must_see_ends_the_loop() -> None:
    world = World().put(b"1")

    with pytest.raises(AccessDenied):
        world.run(copying(failures={b"1": AccessDenied()}))

    assert world.values == []


def test_the_last_pause_goes_on_without_end() -> None:
    waiting = pauses((timedelta(seconds=1), timedelta(seconds=2)))

    assert [next(waiting).total_seconds() for _ in range(4)] == [1, 2, 2, 2]


# --- several batches at once ----------------------------------------------------------------------


@pytest.mark.parametrize("beside", ENDS)
def test_what_was_collected_at_once_is_settled_in_parts(beside: type[Executor]) -> None:
    work = copying(batches=3)

    world = World(collects=10).put(b"1", b"2", b"3", b"4", b"5").run(work, most=2, beside=beside)

    assert world.values == work.seen == [b"1", b"2", b"3", b"4", b"5"]
    assert [values for values, _ in work.prepared] == [[b"1", b"2"], [b"3", b"4"], [b"5"]]


@pytest.mark.parametrize("beside", ENDS)
def test_each_part_is_told_what_is_settled_meanwhile(beside: type[Executor]) -> None:
    work = copying(batches=3)

    World(collects=2).put(b"1", b"2", b"3").run(work, beside=beside)

    assert work.prepared == [([b"1"], None), ([b"2"], [b"1"]), ([b"3"], None)]


def test_a_part_is_prepared_while_the_one_before_is_settled() -> None:
    # Each waits for the other here: one after the other, neither would ever end.
    work = copying(batches=2)
    world = World(collects=2).put(b"1", b"2")
    prepared, settling = threading.Event(), threading.Event()
    prepare = work.prepare

    def settle_once_both_are_prepared(step: str) -> None:
        if step == "settle":
            settling.set()
            assert prepared.wait(10)

    def prepare_while_settling(batch: Batch, under_way: Copied | None) -> Copied:
        if under_way is not None:
            assert settling.wait(10)
            prepared.set()
        return prepare(batch, under_way)

    work.prepare = prepare_while_settling  # type: ignore[method-assign]
    Loop(
        stream=MemoryStream(
            topics=world.topics, reads=["in"], most=2, fail=settle_once_both_are_prepared
        ),
        work=work,
        most=1,
        stop=work.stop,
        beat=lambda: None,
        collected=lambda _: None,
        postponed=world.postponed.append,
    ).run()

    assert (world.values, world.postponed) == ([b"1", b"2"], [])


@pytest.mark.parametrize("step", ["settle", "settled"])
@pytest.mark.parametrize("beside", ENDS)
def test_what_was_prepared_behind_a_part_that_failed_comes_again(
    beside: type[Executor], step: str
) -> None:
    # Failed when the part behind was settled all the same: the one that failed was stepped over.
    work = copying(batches=4)
    world = World(collects=3, failing={step: [None, KafkaUnavailable()]}).put(b"1", b"2", b"3")

    world.run(work, beside=beside)

    assert world.values == [b"1", b"2", b"3"]
    assert world.topics.settled[Place("in", 0)] == 3
    assert world.postponed == ["KafkaUnavailable"]


@pytest.mark.parametrize("beside", ENDS)
def test_a_part_that_cannot_be_prepared_leaves_the_one_before_settled(
    beside: type[Executor],
) -> None:
    # Failed when nobody noted it: its ids were missing in the window, and its counts for good.
    work = copying(batches=2, failures={b"2": RegistryUnavailable()})

    world = World(collects=2).put(b"1", b"2").run(work, beside=beside)

    assert world.values == work.seen == [b"1", b"2"]
    assert world.postponed == ["RegistryUnavailable"]


@pytest.mark.parametrize("beside", ENDS)
def test_a_part_that_a_human_must_see_leaves_the_one_before_settled(
    beside: type[Executor],
) -> None:
    work = copying(batches=2, failures={b"2": AccessDenied()})
    world = World(collects=2).put(b"1", b"2")

    with pytest.raises(AccessDenied):
        world.run(work, beside=beside)

    assert world.values == work.seen == [b"1"]


@pytest.mark.parametrize("beside", ENDS)
def test_where_both_fail_the_first_of_them_counts(beside: type[Executor]) -> None:
    # What is wrong with the second was decided as if the first were settled; it is tried again.
    work = copying(batches=2, failures={b"2": AccessDenied()})
    world = World(collects=2, failing={"settle": [KafkaUnavailable()]}).put(b"1", b"2")

    world.run(work, beside=beside)

    assert (world.values, world.postponed) == ([b"1", b"2"], ["KafkaUnavailable"])


def test_a_request_to_stop_is_heard_between_two_parts() -> None:
    # Failed when what was prepared meanwhile was settled too: begun so late, a transaction can be
    # cut off by the end of the time for stopping, and its successor waits for it.
    work = copying(batches=1)

    world = World(collects=5).put(b"1", b"2", b"3").run(work)

    assert world.values == work.seen == [b"1"]


def test_what_would_take_too_long_until_the_next_collection_comes_again() -> None:
    # A group that rebalances waits until somebody collects.
    work = copying(batches=3)

    world = World(collects=5).put(b"1", b"2", b"3").run(work, longest=0.0)

    assert world.values == work.seen == [b"1", b"2", b"3"]
    assert [values for values, under_way in work.prepared if under_way is None] == [
        [b"1"],
        [b"2"],
        [b"3"],
    ]


def test_a_part_takes_as_long_as_its_own_settling() -> None:
    # Failed when the time was taken once the next part was prepared.
    work, took, first_settled = copying(batches=2), list[float](), threading.Event()
    prepare, settled = work.prepare, work.settled
    prepared_at: list[float] = []

    def prepare_slowly(batch: Batch, under_way: Copied | None) -> Copied:
        if under_way is not None:
            assert first_settled.wait(10)
            time.sleep(0.05)
        prepared_at.append(time.perf_counter())
        return prepare(batch, under_way)

    def settled_in(prepared: Copied, seconds: float) -> None:
        took.append(seconds)
        settled(prepared, seconds)

    def fail(step: str) -> None:
        if step == "settled":
            first_settled.set()

    work.prepare, work.settled = prepare_slowly, settled_in  # type: ignore[method-assign]
    world = World(collects=2).put(b"1", b"2")
    world.fail = fail  # type: ignore[method-assign]
    world.run(work, beside=one_thread)

    assert took[0] < prepared_at[1] - prepared_at[0]


def test_pauses_are_short_again_once_anything_was_settled() -> None:
    # Failed when only a whole collection counted: who got on paused ever longer.
    work = copying(batches=4)
    failing: list[PushError | None] = [None, KafkaUnavailable()] * 2
    world = World(collects=4, failing={"settle": failing}).put(b"1", b"2", b"3", b"4")

    world.run(work, schedule=[timedelta(0), timedelta(days=1)])

    assert world.values == [b"1", b"2", b"3", b"4"]
