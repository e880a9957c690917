from datetime import UTC, datetime

import pytest

from mailer.wording import day_as_read, in_zone, instant_as_read
from schemas.vocabulary import Language

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


def test_a_day_is_short_and_that_of_the_zone() -> None:
    assert day_as_read(in_zone(SUMMER, "Europe/Berlin"), Language.DE) == "01.08.2026"
    assert day_as_read(in_zone(SUMMER, "Europe/Berlin"), Language.EN) == "1 Aug 2026"
    assert day_as_read(in_zone(SUMMER, "UTC"), Language.DE) == "31.07.2026"


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
