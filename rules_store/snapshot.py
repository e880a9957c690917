"""All rules at one generation, compiled for asking: which of them want an event."""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from rules_store.buckets import Buckets
from rules_store.entries import Match, TenantEntry, compile_tenant, trigger_of
from rules_store.matching import is_known
from rules_store.packing import Packed, find_users, unpack
from rules_store.ports import RejectedRule
from rules_store.recipients import Verification, recipients_of, resolve_users
from schemas.events import Routing
from schemas.rules import Rule, RulesAt, Tenant, TenantRules, WantedRule
from schemas.vocabulary import EventType, Generation, Outcome, TenantId

logger = logging.getLogger(__name__)

# Attributes of a class of words are slow, and these are asked for with every event.
_UPDATE: Final = EventType.PAYMENT_STATUS_UPDATED
_NO_RULES: Final = Outcome.NO_RULES
_NO_MATCH: Final = Outcome.NO_MATCH
_UNCHANGED: Final = Outcome.UNCHANGED
_UNKNOWN_STATUS: Final = Outcome.UNKNOWN_STATUS

_MOST_UNPACKED = 4096  # kept beside the packed ones, some 3 kB each …
_MOST_NAMED = 16  # … and no more readers than that: a rule may name thousands

Entries = Buckets[TenantId, TenantEntry]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Which rules want an event, for all tenants at one generation. Replaced, never changed."""

    generation: Generation
    entries: Entries = field(default_factory=Buckets)  #: every tenant that has any rule
    rejected_rules: int = 0  #: stored rules that cannot be meant (R5)
    foreign_rules: int = 0  #: rules found under another tenant than their own; must stay 0 (R1)
    verification: Verification = Verification.OFF
    #: Rules that wanted an event; a snapshot never changes, so neither do they.
    _unpacked: dict[tuple[TenantId, Packed], WantedRule] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @classmethod
    def compile(
        cls,
        rules_at: RulesAt,
        rejected: Iterable[RejectedRule] = (),
        verification: Verification = Verification.OFF,
    ) -> "Snapshot":
        """Compile all rules; those in `rejected` count as rules that their tenant has."""
        refused = Counter(rule.tenant_id for rule in rejected)
        entries = {
            tenant_id: TenantEntry(Tenant(tenant_id=tenant_id, name=""), rejected_rules=count)
            for tenant_id, count in refused.items()
        }
        foreign = 0
        for tenant_rules in rules_at.tenants:
            tenant_id = tenant_rules.tenant.tenant_id
            own = tuple(rule for rule in tenant_rules.rules if _is_own(rule, tenant_rules))
            foreign += len(tenant_rules.rules) - len(own)
            if own:
                tenants_own = replace(tenant_rules, rules=own)
                entries[tenant_id] = compile_tenant(tenants_own, refused[tenant_id])
        return cls(
            rules_at.generation, Buckets(entries.items()), refused.total(), foreign, verification
        )

    def with_entries(
        self, generation: Generation, changes: Mapping[TenantId, TenantEntry | None]
    ) -> "Snapshot":
        """Return a snapshot with these entries instead; None stands for a tenant without rules.

        What it costs depends on the number of changes alone: all else is shared with this one.
        """
        rejected = self.rejected_rules
        for tenant_id, entry in changes.items():
            before = self.entries.find(tenant_id)
            rejected += entry.rejected_rules if entry else 0
            rejected -= before.rejected_rules if before else 0
        entries = self.entries.with_changes(changes)
        return replace(self, generation=generation, entries=entries, rejected_rules=rejected)

    def matching(self, routing: Routing) -> Sequence[Match]:
        """Look up the rules that want the event, by id, and leave them packed."""
        entry = self.entries.find(routing.tenant_id)
        return () if entry is None else entry.matching(routing)

    def answer(self, routing: Routing) -> tuple[WantedRule, ...] | Outcome:
        """Return the rules that want the event, or what becomes of one that none wants.

        Rules come by id, those with nobody to mail to included; of outcomes the first that holds.
        """
        entry = self.entries.find(routing.tenant_id)
        if entry is None:
            return _NO_RULES
        matches = entry.matching(routing)
        if not matches:
            return _of_unwanted(routing)
        return tuple([self._wanted(entry, match) for match in matches])

    def wanting(self, routing: Routing) -> tuple[WantedRule, ...]:
        """Return the rules that want the event, by id; those with nobody to mail to included."""
        answer = self.answer(routing)
        return answer if isinstance(answer, tuple) else ()

    def _wanted(self, entry: TenantEntry, match: Match) -> WantedRule:
        """Unpack a rule; one that wants many events is unpacked once."""
        mask, accounts, packed = match
        key = (entry.tenant.tenant_id, packed)
        wanted = self._unpacked.get(key)
        if wanted is None:
            rule = unpack(packed, entry.tenant, trigger_of(mask, accounts))
            users = resolve_users(find_users(entry.users, rule.internal_recipients))
            recipients, left_out = recipients_of(rule, entry.tenant, users, self.verification)
            wanted = WantedRule(
                tenant=entry.tenant, rule=rule, recipients=recipients, left_out=left_out
            )
            if len(recipients) + len(left_out) <= _MOST_NAMED:
                if len(self._unpacked) >= _MOST_UNPACKED:
                    self._unpacked.clear()
                self._unpacked[key] = wanted
        return wanted


def _of_unwanted(routing: Routing) -> Outcome:
    """Say what becomes of an event of a tenant with rules, none of which wants it."""
    if routing.event_type is _UPDATE:
        if not is_known(routing.status):
            return _UNKNOWN_STATUS
        if routing.status == routing.previous_status:
            return _UNCHANGED
    return _NO_MATCH


def _is_own(rule: Rule, tenant_rules: TenantRules) -> bool:
    """Say whether the rule is the tenant's; another's must never be asked (R1)."""
    tenant_id = tenant_rules.tenant.tenant_id
    if rule.tenant_id == tenant_id:
        return True
    logger.error("foreign_rule_refused", extra={"tenant_id": tenant_id, "rule_id": rule.rule_id})
    return False
