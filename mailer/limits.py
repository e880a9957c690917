"""How fast mails go out: to one relay, and to one recipient domain. Courtesy, as values.

A pace lets a second's worth through at once and then one after the other. A domain whose server
asks to slow down gets half as many at once, and one more with each mail it takes.
"""

from dataclasses import dataclass, replace
from typing import Self

BUSY = 1.0  #: seconds until a domain is asked again that has as many mails under way as it may


@dataclass(frozen=True, slots=True)
class Pace:
    """So many mails a second; `free_at` is when the next may go. No rate: as fast as it comes."""

    rate: float | None
    free_at: float = 0.0

    def wait(self, now: float) -> float:
        """Return how many seconds the next mail has to wait."""
        return max(0.0, self.free_at - now)

    def taken(self, now: float) -> Self:
        """Return it after a mail has taken its turn, now or after its wait."""
        if self.rate is None:
            return self
        return replace(self, free_at=max(self.free_at, now - 1.0) + 1.0 / self.rate)


@dataclass(frozen=True, slots=True)
class Lane:
    """What one recipient domain gets: how fast, and how many at once."""

    pace: Pace
    most: int  #: at once, at the best of times
    allowed: float  #: at once, for now
    under_way: int = 0
    turn_at: float = 0.0  #: when the last of those comes that were told to come later

    @classmethod
    def of(cls, rate: float | None, most: int) -> Self:
        """Return an empty lane."""
        return cls(Pace(rate), most, float(most))

    def is_idle(self, now: float) -> bool:
        """Say whether it is as good as a fresh one."""
        return self.under_way == 0 and self.allowed >= self.most and self.pace.free_at < now - 1.0

    def entered(self, now: float) -> tuple[Self, float]:
        """Return it after a mail asked to go, and how long that mail has to wait; 0: it goes.

        Mails that wait come one after the other, so that they need not ask all at once again.
        """
        wait = self.pace.wait(now)
        if self.under_way >= max(1, int(self.allowed)):
            wait = max(wait, BUSY)
        if wait <= 0:
            return replace(self, pace=self.pace.taken(now), under_way=self.under_way + 1), 0.0
        step = 1.0 / self.pace.rate if self.pace.rate else 0.0
        turn = max(self.turn_at + step, now + wait)
        return replace(self, turn_at=turn), turn - now

    def left(self) -> Self:
        """Return it after a mail is over that says nothing about the rate."""
        return replace(self, under_way=max(0, self.under_way - 1))

    def after_success(self) -> Self:
        """Return it after a mail was taken."""
        return replace(self.left(), allowed=min(self.most, self.allowed + 1))

    def after_complaint(self) -> Self:
        """Return it after the server asked to slow down."""
        return replace(self.left(), allowed=max(1.0, self.allowed / 2))
