"""Breaks in long work beside a worker, so that the worker has the interpreter for most of the time.

Without them a tenant of many thousand rules would make every batch take twice as long until it is
read: threads that both compute share the interpreter evenly.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeAlias, TypeVar

#: Called after each stretch of work; most of them sleep.
Breathe: TypeAlias = Callable[[], None]

STRETCH = 250  #: rows, about a millisecond's work
BREAK = 0.01  #: seconds

T = TypeVar("T")


def no_break() -> None:
    """Go on at once: nobody waits."""


def with_breaks(items: Iterable[T], breathe: Breathe) -> Iterable[T]:
    """Return the items, to be gone through with a break after each whole stretch of them."""
    return items if breathe is no_break else _with_breaks(items, breathe)


def _with_breaks(items: Iterable[T], breathe: Breathe) -> Iterator[T]:
    rest = iter(items)
    while stretch := list(islice(rest, STRETCH)):
        yield from stretch
        if len(stretch) == STRETCH:
            breathe()
