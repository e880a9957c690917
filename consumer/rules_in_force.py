"""The rules that batches are decided by, and what happens once nobody knows if they still hold."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from rules_store.cache import RulesCache
from rules_store.snapshot import Snapshot
from schemas.errors import RulesTooOld

logger = logging.getLogger(__name__)


class WhenTooOld(StrEnum):
    """What the worker does while its rules are older than they may become."""

    WARN = "warn"  #: says so, and goes on to decide by the last good ones
    PAUSE = "pause"  #: says so, and decides nothing


@dataclass(slots=True, kw_only=True)
class RulesInForce:
    """Hands out the newest rules for a batch, and watches their age."""

    cache: RulesCache
    oldest: timedelta
    when_too_old: WhenTooOld
    monotonic: Callable[[], float]
    _told: bool = field(default=False, init=False)

    def __call__(self) -> Snapshot:
        """Return the newest rules, or raise `RulesTooOld` where a batch had better wait."""
        age = self.cache.age_seconds(self.monotonic())
        self._tell(age)
        if self._told and self.when_too_old is WhenTooOld.PAUSE:
            raise RulesTooOld(f"the rules were last known to be current {age:.0f} s ago")
        return self.cache.current()

    @property
    def are_too_old(self) -> bool:
        """Say whether the rules are older than they may become."""
        return self._is_too_old(self.cache.age_seconds(self.monotonic()))

    def _is_too_old(self, age: float) -> bool:
        return age > self.oldest.total_seconds()

    def _tell(self, age: float) -> None:
        """Log the first batch that meets too old rules, and the first after them."""
        is_too_old = self._is_too_old(age)
        if is_too_old and not self._told:
            fields = {"age_seconds": round(age, 1), "then": str(self.when_too_old)}
            logger.error("rules_too_old", extra=fields)
        elif self._told and not is_too_old:
            logger.info("rules_current_again", extra={"generation": self.cache.generation})
        self._told = is_too_old
