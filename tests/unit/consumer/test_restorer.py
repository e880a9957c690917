"""Taking over beside the loop: what waits holds up nobody else, what fails for good is raised."""

import threading
from collections.abc import Callable, Collection, Iterator

import pytest

from consumer.compact_ids import CompactIds
from consumer.restorer import Restorer
from consumer.restoring import TakenOver
from schemas.errors import KafkaUnavailable, OffsetsLost
from schemas.records import Place
from tests.real.waiting import wait_until

HERE, THERE = Place("in", 0), Place("in", 1)
FOUND = TakenOver(7, CompactIds())


@pytest.fixture
def taking() -> Iterator[Callable[..., Restorer]]:
    restorers: list[Restorer] = []

    def start(
        take_over: Callable[[Collection[Place]], Iterator[tuple[Place, TakenOver]]],
    ) -> Restorer:
        restorers.append(Restorer(take_over))
        return restorers[-1]

    yield start
    for restorer in restorers:
        restorer.close()


def ended_of(restorer: Restorer, count: int) -> list[tuple[Place, int]]:
    ended: list[tuple[Place, int]] = []

    def enough() -> bool:
        ended.extend((each.place, each.number) for each in restorer.ended())
        return len(ended) >= count

    wait_until(enough, "take-overs")
    return ended


def test_each_take_over_ends_with_its_number(taking: Callable[..., Restorer]) -> None:
    restorer = taking(lambda places: iter([(place, FOUND) for place in places]))

    restorer.begin({HERE: 3, THERE: 4})

    assert sorted(ended_of(restorer, 2)) == [(HERE, 3), (THERE, 4)]


def test_a_partition_that_must_wait_holds_up_none_that_came_with_it(
    taking: Callable[..., Restorer],
) -> None:
    # Failed when partitions were only asked for together: an open transaction over one held up all.
    decided = threading.Event()

    def take_over(places: Collection[Place]) -> Iterator[tuple[Place, TakenOver]]:
        if HERE in places and not decided.is_set():
            raise KafkaUnavailable
        return iter([(place, FOUND) for place in places])

    restorer = taking(take_over)
    restorer.begin({HERE: 1, THERE: 2})
    first = ended_of(restorer, 1)
    decided.set()

    assert (first, ended_of(restorer, 1)) == ([(THERE, 2)], [(HERE, 1)])


def test_what_only_an_operator_can_mend_is_raised_on_the_loops_thread(
    taking: Callable[..., Restorer],
) -> None:
    def take_over(_: Collection[Place]) -> Iterator[tuple[Place, TakenOver]]:
        raise OffsetsLost("in/0")

    restorer = taking(take_over)
    restorer.begin({HERE: 1})

    with pytest.raises(OffsetsLost, match="in/0"):
        ended_of(restorer, 1)
