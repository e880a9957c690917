"""Which dead letters somebody means: by reason, topic, tenant, rule, time or place."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from consumer.letters.reading import Letter, Position

TenantOf = Callable[[Letter], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What a letter must be like; a collection that is empty asks for nothing."""

    groups: Collection[str]  #: the consumer groups whose letters are meant
    reasons: Collection[str] = ()
    topics: Collection[str] = ()  #: where their records came from
    tenants: Collection[str] = ()
    rules: Collection[str] = ()
    places: Collection[Position] = ()
    since: datetime | None = None  #: failed at or after; aware UTC
    until: datetime | None = None  #: failed before; aware UTC

    def takes(self, letter: Letter, tenant_of: TenantOf) -> bool:
        """Say whether a letter is meant; the tenant is asked for last, since it must be read."""
        return (
            letter.group in self.groups
            and _asks(self.reasons, letter.reason)
            and _asks(self.topics, letter.origin.topic)
            and _asks(self.rules, letter.rule_id)
            and _asks(self.places, letter.at)
            and (self.since is None or letter.failed_at >= self.since)
            and (self.until is None or letter.failed_at < self.until)
            and (not self.tenants or tenant_of(letter) in self.tenants)
        )

    @property
    def is_narrow(self) -> bool:
        """Say whether it asks for anything but the group."""
        asked = (self.reasons, self.topics, self.tenants, self.rules, self.places)
        return any(asked) or self.since is not None or self.until is not None


def _asks(wanted: Collection[object], found: object) -> bool:
    return not wanted or found in wanted
