from datetime import UTC, datetime
from decimal import Decimal

import pytest
from babel.dates import format_date, format_datetime
from babel.numbers import format_currency, format_decimal
from hypothesis import given
from hypothesis import strategies as st

from mailer.wording import (
    day_as_read,
    in_zone,
    instant_as_read,
    number_as_read,
    short_day_as_read,
    sum_as_read,
)
from schemas.vocabulary import Language
from tests import strategies

WINTER = datetime(2026, 3, 12, 8, 31, 17, 999_000, tzinfo=UTC)
SUMMER = datetime(2026, 7, 31, 22, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "zone", "german", "english"),
    [
        pytest.param(
            WINTER,
            "Europe/Berlin",
            "12. März 2026, 09:31:17 Uhr (MEZ)",
            "12 March 2026, 09:31:17 (CET)",
            id="winter",
        ),
        pytest.param(
            SUMMER,
            "Europe/Berlin",
            "1. August 2026, 00:05:00 Uhr (MESZ)",
            "1 August 2026, 00:05:00 (CEST)",
            id="summer",
        ),
        pytest.param(
            WINTER,
            "America/New_York",
            "12. März 2026, 04:31:17 Uhr (GMT-04:00)",
            "12 March 2026, 04:31:17 (GMT-04:00)",
            id="no short name",
        ),
        pytest.param(
            WINTER,
            "UTC",
            "12. März 2026, 08:31:17 Uhr (UTC)",
            "12 March 2026, 08:31:17 (UTC)",
            id="utc",
        ),
    ],
)
def test_an_instant_names_its_zone(at: datetime, zone: str, german: str, english: str) -> None:
    assert instant_as_read(in_zone(at, zone), Language.DE) == german
    assert instant_as_read(in_zone(at, zone), Language.EN) == english


def test_the_hour_that_comes_twice_names_the_zone_it_is_in() -> None:
    first, second = (datetime(2026, 10, 25, hour, 30, tzinfo=UTC) for hour in (0, 1))

    assert "02:30:00 Uhr (MESZ)" in instant_as_read(in_zone(first, "Europe/Berlin"), Language.DE)
    assert "02:30:00 Uhr (MEZ)" in instant_as_read(in_zone(second, "Europe/Berlin"), Language.DE)


def test_a_short_day_is_that_of_the_zone() -> None:
    assert short_day_as_read(in_zone(SUMMER, "Europe/Berlin"), Language.DE) == "01.08.2026"
    assert short_day_as_read(in_zone(SUMMER, "Europe/Berlin"), Language.EN) == "1 Aug 2026"
    assert short_day_as_read(in_zone(SUMMER, "UTC"), Language.DE) == "31.07.2026"


@pytest.mark.parametrize(
    ("amount", "currency", "german", "english"),
    [
        ("8450.00", "EUR", "8.450,00 EUR", "EUR 8,450.00"),
        ("3000", "EUR", "3.000,00 EUR", "EUR 3,000.00"),
        ("0.5", "CHF", "0,50 CHF", "CHF 0.50"),
        (
            "123456789012345.12345",
            "EUR",
            "123.456.789.012.345,12345 EUR",
            "EUR 123,456,789,012,345.12345",
        ),
        ("1500", "JPY", "1.500 JPY", "JPY 1,500"),
        ("1500.50", "JPY", "1.500,5 JPY", "JPY 1,500.5"),
        ("1.23", "KWD", "1,230 KWD", "KWD 1.230"),
        ("007.10", "XXX", "7,10 XXX", "XXX 7.10"),
    ],
)
def test_a_sum_is_told_to_the_last_digit(
    amount: str, currency: str, german: str, english: str
) -> None:
    assert sum_as_read(amount, currency, Language.DE) == german
    assert sum_as_read(amount, currency, Language.EN) == english


# Would catch: a short cut that puts names, signs or digits together otherwise than Babel does.
@given(strategies.instants, st.sampled_from(["Europe/Berlin", "US/Pacific", "Asia/Kolkata"]))
def test_days_and_times_are_those_of_babel(at: datetime, zone: str) -> None:
    there = in_zone(at, zone)

    german = format_datetime(there, "d. MMMM y, HH:mm:ss 'Uhr'", locale="de")
    english = format_datetime(there, "d MMMM y, HH:mm:ss", locale="en_GB")
    assert instant_as_read(there, Language.DE).rpartition(" (")[0] == german
    assert instant_as_read(there, Language.EN).rpartition(" (")[0] == english
    zones = {format_datetime(there, form, locale="de") for form in ("z", "OOOO")}
    assert instant_as_read(there, Language.DE).rpartition(" (")[2].rstrip(")") in zones
    assert short_day_as_read(there, Language.DE) == format_date(there, "medium", locale="de")
    assert short_day_as_read(there, Language.EN) == format_date(there, "medium", locale="en_GB")


@given(strategies.sums, st.sampled_from(["EUR", "CHF", "JPY", "KWD", "USD", "XAU"]))
def test_sums_and_numbers_are_those_of_babel(amount: str, currency: str) -> None:
    def babels(pattern: str, locale: str) -> str:
        return format_currency(
            Decimal(amount.rstrip("0") if "." in amount else amount),
            currency,
            pattern,
            locale,
            decimal_quantization=False,
        )

    assert sum_as_read(amount, currency, Language.DE) == babels("#,##0.00 ¤¤", "de")
    assert sum_as_read(amount, currency, Language.EN) == babels("¤¤ #,##0.00", "en_GB")
    count = int(amount.partition(".")[0])
    assert number_as_read(count, Language.DE) == format_decimal(count, locale="de")
    assert number_as_read(count, Language.EN) == format_decimal(count, locale="en_GB")


def test_a_day_names_its_month() -> None:
    assert day_as_read(SUMMER, Language.DE) == "31. Juli 2026"
    assert day_as_read(SUMMER, Language.EN) == "31 July 2026"


@pytest.mark.parametrize(
    "zone",
    ["", "Berlin", "Europe", "../../etc/passwd", "/etc/passwd", "a\0b", "x" * 5000, "zone.tab"],
)
def test_a_name_that_is_no_zone_means_berlin(zone: str) -> None:
    assert in_zone(WINTER, zone) == WINTER
    assert in_zone(WINTER, zone).utcoffset() == in_zone(WINTER, "Europe/Berlin").utcoffset()


@pytest.mark.parametrize(
    ("at", "zone"),
    [
        (datetime.min.replace(tzinfo=UTC), "America/New_York"),
        (datetime.max.replace(tzinfo=UTC), "Asia/Tokyo"),
    ],
    ids=["first", "last"],
)
def test_at_the_calendars_ends_the_time_stays_in_utc(at: datetime, zone: str) -> None:
    assert "(UTC)" in instant_as_read(in_zone(at, zone), Language.DE)
