from functools import reduce

import pytest

from mailer.breaker import Breaker


def after_troubles(count: int, breaker: Breaker | None = None, now: float = 0.0) -> Breaker:
    return reduce(lambda b, _: b.after_trouble(now), range(count), breaker or Breaker())


def test_a_fresh_breaker_lets_everybody_through() -> None:
    assert Breaker().admits(0)


def test_it_opens_after_five_troubles_in_a_row() -> None:
    assert not after_troubles(4).is_open
    assert after_troubles(5).is_open


def test_a_success_between_them_starts_the_row_afresh() -> None:
    assert not after_troubles(4, after_troubles(4).after_success(0)).is_open


def test_it_opens_where_most_of_what_was_tried_lately_was_trouble() -> None:
    breaker = Breaker()
    for second in range(6):
        breaker = breaker.after_trouble(second).after_trouble(second).after_success(second)

    assert breaker.is_open


def test_troubles_of_long_ago_do_not_count() -> None:
    breaker = Breaker()
    for second in range(0, 600, 40):
        breaker = breaker.after_trouble(second).after_success(second + 1).after_trouble(second + 2)

    assert not breaker.is_open


def test_some_troubles_open_it_by_themselves() -> None:
    assert Breaker().after_trouble(0, at_once=True).is_open


def test_an_open_one_lets_one_through_after_its_pause() -> None:
    breaker = after_troubles(5)

    assert not breaker.admits(14.9)
    assert breaker.admits(15)
    assert not breaker.entered().admits(15)


def test_who_learnt_nothing_leaves_room_for_the_next() -> None:
    assert after_troubles(5).entered().left().admits(15)


def test_a_success_closes_it() -> None:
    breaker = after_troubles(5).entered().after_success(15)

    assert not breaker.is_open
    assert not after_troubles(4, breaker).is_open


def test_a_success_that_was_under_way_when_it_opened_does_not_close_it() -> None:
    assert after_troubles(5).after_success(1).is_open


def test_each_further_trouble_doubles_the_pause_up_to_five_minutes() -> None:
    breaker, now, pauses = after_troubles(5), 0.0, list[float]()
    for _ in range(7):
        pauses.append(breaker.pause)
        now += breaker.pause
        breaker = breaker.entered().after_trouble(now)

    assert pauses == [15, 30, 60, 120, 240, 300, 300]


@pytest.mark.parametrize("late", [1, 20])
def test_troubles_that_were_under_way_when_it_opened_do_not_lengthen_the_pause(late: int) -> None:
    breaker = after_troubles(late, after_troubles(5), now=1.0)

    assert (breaker.pause, breaker.opened_at) == (15, 0)
