import pytest

from mailer.limits import Lane, Pace


def test_without_a_rate_nobody_waits() -> None:
    pace = Pace(None)
    for _ in range(1000):
        pace = pace.taken(5.0)

    assert pace.wait(5.0) == 0


def test_a_seconds_worth_goes_at_once_and_then_one_after_the_other() -> None:
    pace, waits = Pace(10.0, free_at=-9.0), list[float]()
    for _ in range(13):
        waits.append(round(pace.wait(0.0), 3))
        pace = pace.taken(0.0)

    assert waits == [*[0.0] * 11, 0.1, 0.2]


def test_over_a_minute_the_rate_is_kept() -> None:
    pace, went = Pace(10.0), 0
    for tick in range(60_000):
        now = tick / 1000
        if pace.wait(now) == 0:
            pace, went = pace.taken(now), went + 1

    assert 600 <= went <= 611


def test_mails_over_the_rate_come_one_after_the_other() -> None:
    lane, waits = Lane.of(2.0, 20), list[float]()
    for _ in range(6):
        lane, wait = lane.entered(100.0)
        waits.append(wait)

    assert waits == pytest.approx([0, 0, 0, 0.5, 1.0, 1.5])


def test_no_more_are_under_way_than_may_be() -> None:
    lane = Lane.of(None, 2)
    lane, first = lane.entered(0.0)
    lane, second = lane.entered(0.0)
    lane, third = lane.entered(0.0)

    assert (first, second) == (0, 0)
    assert third > 0
    assert lane.left().entered(0.0)[1] == 0


def test_a_domain_that_asks_to_slow_down_gets_half_and_one_more_with_each_success() -> None:
    lane = Lane.of(None, 20)

    slower = lane.after_complaint().after_complaint()
    assert slower.allowed == 5
    assert slower.after_success().allowed == 6
    for _ in range(50):
        slower = slower.after_success()
    assert slower.allowed == 20


def test_a_domain_that_complains_for_ever_still_gets_one() -> None:
    lane = Lane.of(None, 20)
    for _ in range(50):
        lane = lane.after_complaint()

    assert lane.entered(0.0)[1] == 0


def test_a_lane_is_idle_once_it_is_as_good_as_fresh() -> None:
    lane, _ = Lane.of(10.0, 20).entered(100.0)

    assert not lane.is_idle(200.0)
    assert not lane.left().is_idle(100.0)
    assert lane.left().is_idle(200.0)
