"""The mail servers in order of preference, as all senders of a process see them together.

Each has a breaker and a pace. The senders' threads share them, so every change is under one lock;
what a change is, the values decide.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mailer.breaker import BREAKER_TERMS, Breaker, BreakerTerms
from mailer.deciding import is_trouble, opens_at_once
from mailer.limits import Pace
from mailer.replies import Reply


@dataclass(slots=True)
class _Route:
    name: str
    breaker: Breaker
    pace: Pace


@dataclass(slots=True, kw_only=True)
class Routes:
    """Which mail server may be asked now. `seconds` is a clock that only goes forward."""

    names: Sequence[str]
    seconds: Callable[[], float]
    terms: BreakerTerms = BREAKER_TERMS
    rate: float | None = None  #: mails a second to each server
    #: Told when a breaker opens (True) or closes, by the server's name.
    changed: Callable[[str, bool], None] = lambda _name, _is_open: None
    _routes: list[_Route] = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __post_init__(self) -> None:
        self._routes = [
            _Route(name, Breaker(terms=self.terms), Pace(self.rate)) for name in self.names
        ]

    def room(self) -> int:
        """Return how many mails may be tried now: none, one that finds out, or any number (-1)."""
        with self._lock:
            now = self.seconds()
            if any(not route.breaker.is_open for route in self._routes):
                return -1
            return int(any(route.breaker.admits(now) for route in self._routes))

    def enter(self, number: int) -> float | None:
        """Ask for a server, by its place in the order; None: leave it alone.

        Otherwise return how many seconds to wait before; whoever enters must leave.
        """
        with self._lock:
            route, now = self._routes[number], self.seconds()
            if not route.breaker.admits(now):
                return None
            route.breaker = route.breaker.entered()
            wait = route.pace.wait(now)
            route.pace = route.pace.taken(now)
            return wait

    def leave(self, number: int, reply: Reply | None) -> None:
        """Tell what a server said; None: it was not heard."""
        with self._lock:
            route, now = self._routes[number], self.seconds()
            was_open = route.breaker.is_open
            route.breaker = _after(route.breaker, reply, now)
            is_open = route.breaker.is_open
        if was_open is not is_open:
            self.changed(route.name, is_open)

    def open_breakers(self) -> dict[str, bool]:
        """Return for each server whether it is left alone."""
        with self._lock:
            return {route.name: route.breaker.is_open for route in self._routes}


def _after(breaker: Breaker, reply: Reply | None, now: float) -> Breaker:
    if reply is None:
        return breaker.left()
    if is_trouble(reply):
        return breaker.after_trouble(now, at_once=opens_at_once(reply))
    return breaker.after_success(now)
