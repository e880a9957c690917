"""A batch and its parts."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.records import Batch, Lost, Record

RECORDS = tuple(Record("in", 0, offset, -1, None, None) for offset in range(7))


def test_a_part_has_no_more_records_than_asked() -> None:
    assert [len(part.records) for part in Batch(RECORDS).parts(3)] == [3, 3, 1]


def test_what_was_lost_goes_with_the_first_part() -> None:
    lost = (Lost("in", 1, 0, 9),)

    assert [part.lost for part in Batch(RECORDS, lost).parts(4)] == [lost, ()]


def test_what_was_lost_alone_is_a_part() -> None:
    batch = Batch((), (Lost("in", 1, 0, 9),))

    assert batch.parts(4) == (batch,)


def test_nothing_has_no_parts() -> None:
    assert Batch().parts(4) == ()


@given(st.integers(0, 7), st.integers(1, 9))
def test_the_parts_are_the_whole(count: int, most: int) -> None:
    batch = Batch(RECORDS[:count])

    assert sum((part.records for part in batch.parts(most)), ()) == batch.records
