"""Instants as people read them: in the tenant's zone, in the reader's language, zone named."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_datetime

from schemas.rules import DEFAULT_TIME_ZONE
from schemas.vocabulary import Language


class _Manner(NamedTuple):
    locale: Locale
    instant: str  # a date-and-time pattern of Unicode TR 35; the zone is put in afterwards


_MANNERS: Mapping[Language, _Manner] = {
    Language.DE: _Manner(Locale("de"), "d. MMMM y, HH:mm:ss 'Uhr'"),
    # British, as the readers are in Europe: 12 March, and CET instead of GMT+1
    Language.EN: _Manner(Locale("en", "GB"), "d MMMM y, HH:mm:ss"),
}


def in_zone(at: datetime, zone_name: str) -> datetime:
    """Return the instant in a zone. A name that is no zone means Europe/Berlin (R25).

    At the calendar's two ends, where the zone's day may lie outside it, it stays in UTC.
    """
    try:
        zone = ZoneInfo(zone_name)
    except (KeyError, ValueError, OSError):  # unknown, no name, or a folder of the zone files
        zone = ZoneInfo(DEFAULT_TIME_ZONE)
    try:
        return at.astimezone(zone)
    except OverflowError:
        return at.astimezone(UTC)


def instant_as_read(at: datetime, language: Language) -> str:
    """Return date, time to the second and zone: "12. März 2026, 09:31:17 Uhr (MEZ)"."""
    manner = _MANNERS[language]
    return f"{format_datetime(at, manner.instant, locale=manner.locale)} ({_zone(at, manner)})"


def day_as_read(at: datetime, language: Language) -> str:
    """Return the short date that a subject shows: "12.03.2026", "12 Mar 2026"."""
    return format_date(at.date(), "medium", locale=_MANNERS[language].locale)


def _zone(at: datetime, manner: _Manner) -> str:
    """Return the zone's short name where the language has one, else its distance: GMT-04:00."""
    short = format_datetime(at, "z", locale=manner.locale)
    if short.isalpha() and short.isupper():
        return short
    return format_datetime(at, "OOOO", locale=manner.locale)
