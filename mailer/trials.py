"""Refusals on trial: what each written result means for those before it, told to the ledger.

`mailer.policy` decides; here its verdicts are carried out, and stay due while the ledger is away.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mailer.policy import POLICY_TERMS, Policy, PolicyTerms, Verdict
from mailer.ports import Claim, Ledger
from mailer.results import Fate
from schemas.errors import LedgerUnavailable

logger = logging.getLogger(__name__)

_MOST = 1000  # refusals that are remembered one by one


@dataclass(slots=True, kw_only=True)
class Trials:
    """Carries the policy breaker of one process. `seconds` is a clock that only goes forward."""

    ledger: Ledger
    owner: str
    seconds: Callable[[], float]
    terms: PolicyTerms = POLICY_TERMS
    _policy: Policy = field(init=False)
    _refused: deque[Claim] = field(default_factory=lambda: deque(maxlen=_MOST), init=False)
    _due: Verdict = field(default=Verdict.NOTHING, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __post_init__(self) -> None:
        self._policy = Policy(terms=self.terms)

    @property
    def is_open(self) -> bool:
        """Say whether delivery pauses because the relay refuses everything."""
        return self._policy.is_open

    def room(self) -> int:
        """Return how many mails may be tried now: none, one that finds out, or any number (-1)."""
        with self._lock:
            if not self._policy.is_open:
                return -1
            return int(self._policy.admits(self.seconds()))

    def told(self, results: Sequence[tuple[Claim, Fate, str]]) -> None:
        """Take in results in their order, each with its recipient's domain, and act."""
        was_open = self.is_open
        for claim, fate, domain in results:
            self._take_in(claim, fate, domain)
        self.act()
        if self.is_open and not was_open:
            logger.error("policy_breaker_opened", extra={"refusals": self._policy.refusals})
        elif was_open and not self.is_open:
            logger.warning("policy_breaker_closed")

    def _take_in(self, claim: Claim, fate: Fate, domain: str) -> None:
        with self._lock:
            self._policy, verdict = self._policy.after(fate, domain, self.seconds())
        if fate.is_refusal:
            self._refused.append(claim)
        if verdict is Verdict.THEY_WERE_RIGHT:
            self._refused.clear()
        if verdict is not Verdict.NOTHING:
            self._due = verdict

    def act(self) -> None:
        """Do what is due; while the ledger is away it stays due."""
        try:
            if self._due is Verdict.HOLD_THEM:
                held = self.ledger.hold_trials(self.owner)
                logger.error("mails_held", extra={"mails": held})
            elif self._due is Verdict.THEY_WERE_RIGHT:
                self.ledger.end_trials(self.owner, list(self._refused))
            self._due = Verdict.NOTHING
        except LedgerUnavailable as error:
            logger.warning("ledger_unavailable", extra={"error": str(error)})
