"""Instants and days between Python and Avro: aware UTC datetimes, whole milliseconds since 1970."""

from datetime import UTC, date, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_DAY = date(1970, 1, 1)
_MILLISECOND = timedelta(milliseconds=1)


def instant(milliseconds: int) -> datetime:
    """Return the instant, or raise `OverflowError` outside the years 1 to 9999."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def milliseconds(at: datetime) -> int:
    """Return whole milliseconds since 1970, the rest cut off."""
    return (at - _EPOCH) // _MILLISECOND


def day(days: int) -> date:
    """Return the day so many days after 1970-01-01, or raise `OverflowError`."""
    return _FIRST_DAY + timedelta(days=days)


def days(day_: date) -> int:
    """Return how many days after 1970-01-01 the day is."""
    return (day_ - _FIRST_DAY).days
