"""Histograms: counts by bounds, cumulative, and the same as counting by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.histograms import Histogram


def test_a_value_counts_below_every_bound_that_it_does_not_exceed() -> None:
    histogram = Histogram((1, 2, 5))

    histogram.observe(0.5)
    histogram.observe(2)
    histogram.observe(9, count=3)

    assert histogram.buckets() == ((1, 2, 2, 5), 29.5)


@pytest.mark.parametrize("bounds", [(), (2, 1), (1, 1)], ids=["none", "falling", "twice"])
def test_bounds_must_ascend(bounds: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="ascend"):
        Histogram(bounds)


# Catches a bisection to the wrong side, and a count that is not cumulative.
@given(st.lists(st.integers(0, 12)), st.sets(st.integers(0, 12), min_size=1).map(sorted))
def test_buckets_are_what_counting_by_hand_gives(values: list[int], bounds: list[int]) -> None:
    histogram = Histogram(bounds)
    for value in values:
        histogram.observe(value)

    by_hand = [sum(value <= bound for value in values) for bound in bounds]
    assert histogram.buckets() == ((*by_hand, len(values)), sum(values))
