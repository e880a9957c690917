"""Which records are kept while partitions come and go."""

import pytest

from consumer.partitions import Partitions, gone_back
from schemas.records import Batch, Place, Record

HERE, THERE = Place("in", 0), Place("in", 1)


def a_record(place: Place, offset: int = 0) -> Record:
    return Record(*place, offset, -1, None, b"")


def ours(*places: Place) -> Partitions:
    partitions = Partitions()
    numbers = partitions.take_over(places)
    for place in places:
        assert partitions.is_awaited(place, numbers[place])
        partitions.taken_over(place)
    partitions.begin_collecting()
    return partitions


RECORDS = [a_record(HERE), a_record(THERE)]


def test_records_of_partitions_that_are_ours_are_kept() -> None:
    assert ours(HERE, THERE).kept(RECORDS) == RECORDS


def test_records_handed_over_before_a_partition_is_taken_over_are_dropped() -> None:
    # Failed when only the client's pause kept them away.
    partitions = ours(HERE)
    partitions.take_over([THERE])

    assert partitions.kept(RECORDS) == [a_record(HERE)]


def test_a_record_held_while_its_partition_is_revoked_is_dropped() -> None:
    # Failed when records were looked at before the second call to the client alone.
    partitions = ours(HERE, THERE)
    partitions.let_go([HERE])

    assert partitions.kept(RECORDS) == [a_record(THERE)]


def test_a_record_held_while_its_partition_goes_and_comes_back_is_dropped() -> None:
    # Failed when only partitions that were ours at the end counted.
    partitions = ours(HERE, THERE)
    partitions.let_go([HERE])
    numbers = partitions.take_over([HERE])
    partitions.taken_over(HERE)

    kept = partitions.kept(RECORDS)
    partitions.begin_collecting()

    assert numbers
    assert (kept, partitions.kept(RECORDS)) == ([a_record(THERE)], RECORDS)


def test_a_take_over_that_was_overtaken_changes_nothing() -> None:
    # Failed when a take-over was known by its partition alone: a copy from before another
    # member's commits would have been taken for the present one.
    partitions = Partitions()
    (first,) = partitions.take_over([HERE]).values()
    partitions.let_go([HERE])
    gone = partitions.is_awaited(HERE, first)
    (second,) = partitions.take_over([HERE]).values()

    assert (gone, partitions.is_awaited(HERE, first)) == (False, False)
    assert partitions.is_awaited(HERE, second)


def test_partitions_that_are_ours_go_on_while_another_is_taken_over() -> None:
    partitions = ours(HERE)
    partitions.take_over([THERE])
    partitions.begin_collecting()

    assert partitions.readable([HERE, THERE]) == [HERE]
    assert not partitions.all_readable


def batch_of(*records: tuple[Place, int]) -> Batch:
    return Batch(tuple(a_record(place, offset) for place, offset in records))


@pytest.mark.parametrize(
    "records",
    [
        pytest.param([(HERE, 4)], id="before what may come"),
        pytest.param([(HERE, 5), (HERE, 6), (HERE, 0)], id="amid a run"),
        pytest.param([(HERE, 5), (HERE, 6), (HERE, 6)], id="the same once more"),
        pytest.param([(HERE, 7), (THERE, 1), (HERE, 6)], id="in a later run"),
        pytest.param([(HERE, 5), (HERE, 3), (HERE, 9)], id="and on again"),
    ],
)
def test_a_client_that_goes_back_is_found_out(records: list[tuple[Place, int]]) -> None:
    # Seen: after its broker's kill a client went on at 30,952 for two records and then at 0, and
    # all was settled once more.
    assert gone_back(batch_of(*records), {HERE: 5}) == {HERE}


def test_gaps_and_other_partitions_are_in_order() -> None:
    records = batch_of((HERE, 5), (HERE, 8), (THERE, 0), (HERE, 20), (THERE, 1))

    assert gone_back(records, {HERE: 5}) == set()
