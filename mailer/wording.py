"""Instants, days, numbers and sums as people read them, in the reader's language.

Names, signs and digits after the comma are Babel's, asked once for each language, zone and
currency; putting them together here costs a tenth of what Babel takes for each mail.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import cache, lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import get_month_names, get_timezone_gmt, get_timezone_name
from babel.numbers import get_currency_precision, get_decimal_symbol, get_group_symbol

from schemas.rules import DEFAULT_TIME_ZONE
from schemas.vocabulary import Language

_LOCALES: Mapping[Language, Locale] = {
    Language.DE: Locale("de"),
    # British, as the readers are in Europe: 12 March, and CET instead of GMT+1
    Language.EN: Locale("en", "GB"),
}


@dataclass(frozen=True, slots=True)
class _Manner:
    """How a language puts dates, times and numbers together."""

    months: Mapping[int, str]  #: by number, with what stands around them in a day
    short_months: Mapping[int, str]
    short_day: str
    clock: str
    sum: str
    group: str
    decimal: str


@cache
def _manner(language: Language) -> _Manner:
    locale, german = _LOCALES[language], language is Language.DE
    months = get_month_names("wide", locale=locale)
    return _Manner(
        months={at: f". {months[at]} " if german else f" {months[at]} " for at in range(1, 13)},
        short_months=get_month_names("abbreviated", locale=locale),
        short_day="{day:02}.{number:02}.{year}" if german else "{day} {short} {year}",
        clock=" Uhr" if german else "",
        sum="{number} {currency}" if german else "{currency} {number}",
        group=get_group_symbol(locale),
        decimal=get_decimal_symbol(locale),
    )


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
    zone = _zone(at.tzinfo, at.utcoffset(), bool(at.dst()), language)
    time = f"{at.hour:02}:{at.minute:02}:{at.second:02}{_manner(language).clock}"
    return f"{day_as_read(at, language)}, {time} ({zone})"


def day_as_read(day: date, language: Language) -> str:
    """Return a day with the month's name: "12. März 2026", "12 March 2026"."""
    return f"{day.day}{_manner(language).months[day.month]}{day.year}"


def short_day_as_read(day: date, language: Language) -> str:
    """Return the short date that a subject shows: "12.03.2026", "12 Mar 2026"."""
    manner = _manner(language)
    return manner.short_day.format(
        day=day.day, number=day.month, short=manner.short_months[day.month], year=day.year
    )


def number_as_read(number: int, language: Language) -> str:
    """Return a whole number with its thousands apart: "1.234", "1,234"."""
    return f"{number:,}".replace(",", _manner(language).group)


def sum_as_read(amount: str, currency: str, language: Language) -> str:
    """Return a sum of decimal text, never rounded: "8.450,00 EUR", "EUR 8,450.00".

    The currency is told by its code: "$" is the sign of many.
    """
    manner = _manner(language)
    whole, _, cents = amount.partition(".")
    digits = _digits(currency)
    cents = cents[:digits].ljust(digits, "0") + cents[digits:].rstrip("0")
    number = number_as_read(int(whole), language) + (manner.decimal + cents if cents else "")
    return manner.sum.format(number=number, currency=currency)


@lru_cache(maxsize=400)  # three capitals are a currency's form; a hostile sender has many
def _digits(currency: str) -> int:
    return get_currency_precision(currency)


@lru_cache(maxsize=4096)
def _zone(zone: tzinfo | None, offset: timedelta | None, is_dst: bool, language: Language) -> str:
    """Return a zone's short name where the language has one, else its distance: GMT-04:00."""
    locale = _LOCALES[language]
    season: Literal["daylight", "standard"] = "daylight" if is_dst else "standard"
    short = get_timezone_name(zone, "short", locale=locale, zone_variant=season)
    if short.isalpha() and short.isupper():
        return short
    return get_timezone_gmt(
        datetime(2000, 1, 1, tzinfo=timezone(offset or timedelta())), "long", locale
    )
