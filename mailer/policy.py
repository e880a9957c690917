"""The policy breaker: many refusals for good in a row mean that the relay is wrong, not the mails.

One wrong setting at the relay (a sender domain it no longer knows, a block list, an expired
contract) makes it refuse everything. Those mails are then held instead of thrown away, nobody is
suppressed, and delivery pauses until a mail gets through again.
"""

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Self

from mailer.results import Fate


class Verdict(Enum):
    """What a result means for the refusals that are on trial."""

    NOTHING = auto()
    THEY_WERE_RIGHT = auto()  #: a mail got through: what was refused before was refused rightly
    HOLD_THEM = auto()  #: the relay refuses everything


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyTerms:
    """When refusals are the relay's fault, and how long delivery pauses then; seconds."""

    refusals: int = 20
    domains: int = 5
    first_pause: float = 300.0
    longest_pause: float = 3600.0


POLICY_TERMS = PolicyTerms()


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How many mails were refused for good since the last success, and to how many domains."""

    terms: PolicyTerms = POLICY_TERMS
    refusals: int = 0
    domains: frozenset[str] = frozenset()
    pause: float = 0.0  #: 0: nothing is wrong
    opened_at: float = 0.0

    @property
    def is_open(self) -> bool:
        """Say whether delivery pauses."""
        return self.pause > 0

    def admits(self, now: float) -> bool:
        """Say whether mails may be tried: all while nothing is wrong, else one after each pause."""
        return not self.is_open or now >= self.opened_at + self.pause

    def after(self, fate: Fate, domain: str, now: float) -> tuple[Self, Verdict]:
        """Return it after a result for a recipient's domain, and what that means for the trials."""
        if fate is Fate.SENT:
            verdict = Verdict.THEY_WERE_RIGHT if self.refusals else Verdict.NOTHING
            return replace(self, refusals=0, domains=frozenset(), pause=0.0), verdict
        if not fate.is_refusal:
            return self, Verdict.NOTHING
        domains = self.domains
        if len(domains) < self.terms.domains:
            domains |= {domain}
        more = replace(self, refusals=self.refusals + 1, domains=domains)
        if self.is_open:
            late = now >= self.opened_at + self.pause
            return (more._opened(now, self.pause * 2) if late else more), Verdict.HOLD_THEM
        if more.refusals >= self.terms.refusals and len(domains) >= self.terms.domains:
            return more._opened(now, self.terms.first_pause), Verdict.HOLD_THEM
        return more, Verdict.NOTHING

    def _opened(self, now: float, pause: float) -> Self:
        return replace(self, opened_at=now, pause=min(pause, self.terms.longest_pause))
