"""The breaker decides the same however the records were cut into batches, and by every path."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from consumer.breaker import Breaker, Limits, Says, Seen, what_it_says
from schemas.errors import TooManyFaults
from schemas.plans import Share
from tests.unit.consumer.test_breaker import (
    AT,
    MAILED,
    NO_MATCH,
    NOISE,
    RECORD,
    SPOILT,
    UNDECODABLE,
    WANTED_UNDECODABLE,
    a_plan,
)

IN_A_ROW = Limits(in_a_row=4, after_start=2, at_least=0, unreadable=6)
shares = st.sampled_from([MAILED, NO_MATCH, NOISE, SPOILT, UNDECODABLE, WANTED_UNDECODABLE])


def stops(batches: Sequence[Sequence[Share]], limits: Limits) -> bool:
    seen = Seen()
    try:
        for batch in batches:
            seen = Breaker(limits).after(seen, a_plan(*batch), AT)
    except TooManyFaults:
        return True
    return False


def longest_row(says: Sequence[Says]) -> list[tuple[int, bool]]:
    """Return each row of faults with whether anything had gone well before, by plain counting."""
    rows, length, well = [(0, True)], 0, False
    for one in says:
        length = length + 1 if one is Says.FAULT else (0 if one is Says.WELL else length)
        well = well or one is Says.WELL
        rows.append((length, well))
    return rows


@given(st.lists(st.lists(shares, max_size=5), max_size=8))
def test_how_records_are_batched_changes_nothing(batches: list[list[Share]]) -> None:
    # Would catch a quick way for good batches that differs from the slow way for the others.
    flat = [share for batch in batches for share in batch]

    assert (
        stops(batches, IN_A_ROW)
        == stops([flat], IN_A_ROW)
        == stops([[share] for share in flat], IN_A_ROW)
    )


@given(st.lists(shares, max_size=20))
def test_it_stops_exactly_at_the_rows_that_its_limits_name(records: list[Share]) -> None:
    # Would catch a row that is counted over the wrong records, or a limit that is off by one.
    said = [what_it_says(RECORD, share) for share in records]
    reading = longest_row([one.reading for one in said])
    making = longest_row([one.making for one in said])
    unreadable = longest_row([one.unreadable for one in said])

    expected = (
        any(row >= (4 if well else 2) for row, well in reading)
        or any(row >= (4 if well else 2) for row, well in making)
        or any(row >= 6 for row, _ in unreadable)
    )

    assert stops([records], IN_A_ROW) == expected


@given(st.lists(st.sampled_from([MAILED, NO_MATCH, NOISE]), max_size=300))
def test_records_without_a_fault_of_ours_never_stop_it(records: list[Share]) -> None:
    # Would catch a breaker that takes other people's noise for a fault of ours.
    limits = Limits(in_a_row=1, after_start=1, at_least=1, percent=1, unreadable=0)

    assert not stops([records], limits)
