"""When a mail server is left alone: a breaker as a value, and when it lets somebody through.

It opens after several troubles in a row, or where most of what was tried lately was trouble. While
it is open nothing is claimed and no attempt is counted; now and then one mail may try, and a
success closes it. A refused mail is no trouble: the server is there and answers.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerTerms:
    """When to open and how long to wait; seconds."""

    in_a_row: int = 5
    window: float = 30.0
    least: int = 10  #: attempts within the window before their share counts
    share: float = 0.5
    first_pause: float = 15.0
    longest_pause: float = 300.0


class _Slice(NamedTuple):
    """What was seen in a tenth of the window."""

    number: int
    good: int
    bad: int


BREAKER_TERMS = BreakerTerms()


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """How a mail server fared lately. Instants are seconds of one clock that only goes forward."""

    terms: BreakerTerms = BREAKER_TERMS
    in_a_row: int = 0
    seen: tuple[_Slice, ...] = ()
    pause: float = 0.0  #: 0: closed
    opened_at: float = 0.0
    probing: bool = False  #: whether somebody is trying while it is open

    @property
    def is_open(self) -> bool:
        """Say whether the server is left alone."""
        return self.pause > 0

    def admits(self, now: float) -> bool:
        """Say whether somebody may try now; while it is open, one at a time after each pause."""
        return not self.is_open or (not self.probing and self._is_late(now))

    def entered(self) -> Self:
        """Return it with somebody inside."""
        return replace(self, probing=True) if self.is_open else self

    def left(self) -> Self:
        """Return it after somebody left who learnt nothing."""
        return replace(self, probing=False) if self.probing else self

    def after_success(self, now: float) -> Self:
        """Return it after the server answered; whoever tried after the pause closes it."""
        if not self.is_open:
            return replace(self, in_a_row=0, seen=self._seen(now, good=1, bad=0))
        if not self._is_late(now):
            return self.left()
        return replace(self, in_a_row=0, seen=(), pause=0.0, probing=False)

    def after_trouble(self, now: float, *, at_once: bool = False) -> Self:
        """Return it after trouble; `at_once`: of a kind that opens it by itself."""
        row, seen = self.in_a_row + 1, self._seen(now, good=0, bad=1)
        more = replace(self, in_a_row=row, seen=seen, probing=False)
        if self.is_open:
            return more._opened(now, self.pause * 2) if self._is_late(now) else more
        if at_once or row >= self.terms.in_a_row or more._mostly_trouble():
            return more._opened(now, self.terms.first_pause)
        return more

    def _is_late(self, now: float) -> bool:
        """Say whether the pause is over: what was under way when it opened says nothing more."""
        return now >= self.opened_at + self.pause

    def _opened(self, now: float, pause: float) -> Self:
        return replace(self, opened_at=now, pause=min(pause, self.terms.longest_pause))

    def _mostly_trouble(self) -> bool:
        bad, every = sum(s.bad for s in self.seen), sum(s.good + s.bad for s in self.seen)
        return every >= self.terms.least and bad > every * self.terms.share

    def _seen(self, now: float, *, good: int, bad: int) -> tuple[_Slice, ...]:
        number = int(now / self.terms.window * 10)
        if self.seen and self.seen[-1].number == number:
            last = self.seen[-1]
            return (*self.seen[:-1], _Slice(number, last.good + good, last.bad + bad))
        recent = tuple(s for s in self.seen if s.number > number - 10)
        return (*recent, _Slice(number, good, bad))
