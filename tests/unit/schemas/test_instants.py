from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from schemas.instants import day, days, instant, milliseconds

IN_BERLIN = timezone(timedelta(hours=2))


@pytest.mark.parametrize(
    ("count", "at"),
    [
        pytest.param(0, datetime(1970, 1, 1, tzinfo=UTC), id="the epoch"),
        pytest.param(1_773_304_277_123, datetime(2026, 3, 12, 8, 31, 17, 123_000, UTC), id="2026"),
        pytest.param(-1, datetime(1969, 12, 31, 23, 59, 59, 999_000, UTC), id="before the epoch"),
        pytest.param(-62_135_596_800_000, datetime(1, 1, 1, tzinfo=UTC), id="first"),
        pytest.param(
            253_402_300_799_999, datetime(9999, 12, 31, 23, 59, 59, 999_000, UTC), id="last"
        ),
    ],
)
def test_milliseconds_are_an_instant_and_back(count: int, at: datetime) -> None:
    assert instant(count) == at
    assert milliseconds(at) == count


@pytest.mark.parametrize("count", [-62_135_596_800_001, 253_402_300_800_000, 2**63 - 1, -(2**63)])
def test_an_instant_outside_the_calendar_overflows(count: int) -> None:
    with pytest.raises(OverflowError):
        instant(count)


def test_what_is_finer_than_a_millisecond_is_cut_off() -> None:
    assert milliseconds(datetime(1970, 1, 1, 0, 0, 0, 1_999, UTC)) == 1


def test_the_zone_of_an_instant_does_not_matter() -> None:
    assert milliseconds(datetime(1970, 1, 1, 2, tzinfo=IN_BERLIN)) == 0


@pytest.mark.parametrize(
    ("count", "date_"),
    [
        pytest.param(0, date(1970, 1, 1), id="the epoch"),
        pytest.param(20_524, date(2026, 3, 12), id="2026"),
        pytest.param(-1, date(1969, 12, 31), id="before the epoch"),
        pytest.param(-719_162, date(1, 1, 1), id="first"),
        pytest.param(2_932_896, date(9999, 12, 31), id="last"),
    ],
)
def test_days_are_a_date_and_back(count: int, date_: date) -> None:
    assert day(count) == date_
    assert days(date_) == count


@pytest.mark.parametrize("count", [-719_163, 2_932_897, 2**31 - 1, -(2**31), 2**63])
def test_a_day_outside_the_calendar_overflows(count: int) -> None:
    with pytest.raises(OverflowError):
        day(count)
