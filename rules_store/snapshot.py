"""All rules at one generation, compiled for asking: tenant → event type → flat tuples.

The answers are those of `matching.judge`; what makes them fast is that a tenant's rules lie in one
tuple per event type, each with a bit mask of its ticked statuses (performance.md, section 5).
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from rules_store.matching import is_known, is_unchanged
from rules_store.ports import RejectedRule
from rules_store.recipients import Resolved, recipients_of, resolve_users
from rules_store.zones import is_zone
from schemas.events import Routing
from schemas.rules import (
    DEFAULT_TIME_ZONE,
    AllAccounts,
    OnFileRejected,
    OnStatusUpdated,
    Rule,
    RulesAt,
    Tenant,
    TenantRules,
    WantedRule,
)
from schemas.vocabulary import (
    TICKABLE,
    AccountId,
    EventType,
    Generation,
    Outcome,
    PaymentStatus,
    TenantId,
    UserId,
)

logger = logging.getLogger(__name__)

_BITS: Mapping[str | None, int] = {status.value: 1 << at for at, status in enumerate(TICKABLE)}

OnUpdate = tuple[int, frozenset[AccountId] | None, WantedRule]  # mask, accounts (None: all), rule


class TenantEntry(NamedTuple):
    """A tenant's enabled rules, by event type and then by id."""

    any_status: int  #: the masks of all its status rules together: most updates end here
    on_update: tuple[OnUpdate, ...]
    on_rejected: tuple[WantedRule, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Which rules want an event, for all tenants at one generation. Replaced, never changed."""

    generation: Generation
    entries: Mapping[TenantId, TenantEntry]  #: every tenant that has any rule
    rejected_rules: int = 0  #: stored rules that cannot be meant (R5)
    foreign_rules: int = 0  #: rules found under another tenant than their own; must stay 0 (R1)

    @classmethod
    def compile(cls, rules_at: RulesAt, rejected: Iterable[RejectedRule] = ()) -> "Snapshot":
        """Compile all rules; those in `rejected` count as rules that their tenant has."""
        refused = tuple(rejected)
        entries: dict[TenantId, TenantEntry] = {rule.tenant_id: _NOTHING for rule in refused}
        foreign = 0
        for tenant_rules in rules_at.tenants:
            own = tuple(rule for rule in tenant_rules.rules if _is_own(rule, tenant_rules))
            foreign += len(tenant_rules.rules) - len(own)
            if own:
                entries[tenant_rules.tenant.tenant_id] = compile_tenant(tenant_rules, own)
        return cls(rules_at.generation, entries, len(refused), foreign)

    def wanting(self, routing: Routing) -> tuple[WantedRule, ...]:
        """Return the rules that want the event, by id; those with nobody to mail to included."""
        entry = self.entries.get(routing.tenant_id)
        if entry is None:
            return ()
        if routing.event_type is EventType.PAYMENT_FILE_REJECTED:
            return entry.on_rejected
        bit = _BITS.get(routing.status, 0)
        if not entry.any_status & bit or routing.status == routing.previous_status:
            return ()
        touched = routing.account_ids
        return tuple(
            [
                rule
                for mask, accounts, rule in entry.on_update
                if mask & bit and (accounts is None or not accounts.isdisjoint(touched))
            ]
        )

    def unwanted(self, routing: Routing) -> Outcome:
        """Say what becomes of an event that no rule wants; the first that holds wins."""
        if routing.tenant_id not in self.entries:
            return Outcome.NO_RULES
        if routing.event_type is EventType.PAYMENT_STATUS_UPDATED:
            if not is_known(routing.status):
                return Outcome.UNKNOWN_STATUS
            if is_unchanged(routing):
                return Outcome.UNCHANGED
        return Outcome.NO_MATCH


_NOTHING = TenantEntry(0, (), ())


def compile_tenant(tenant_rules: TenantRules, rules: Iterable[Rule]) -> TenantEntry:
    """Compile a tenant's rules; a time zone nobody knows is the default one (R25)."""
    tenant = _with_known_zone(tenant_rules.tenant)
    users = resolve_users(tenant_rules.users)
    on_update: list[OnUpdate] = []
    on_rejected: list[WantedRule] = []
    for rule in sorted(rules, key=lambda rule: rule.rule_id):
        if not rule.enabled:
            continue
        match rule.trigger:
            case OnFileRejected():
                on_rejected.append(_wanted(rule, tenant, users))
            case OnStatusUpdated(ticked, accounts):
                chosen = None if isinstance(accounts, AllAccounts) else accounts.account_ids
                on_update.append((_mask(ticked), chosen, _wanted(rule, tenant, users)))
    any_status = 0
    for mask, _, _ in on_update:
        any_status |= mask
    return TenantEntry(any_status, tuple(on_update), tuple(on_rejected))


def _mask(ticked: Iterable[PaymentStatus]) -> int:
    return sum(_BITS.get(status, 0) for status in frozenset(ticked))


def _wanted(rule: Rule, tenant: Tenant, users: Mapping[UserId, Resolved]) -> WantedRule:
    recipients, left_out = recipients_of(rule, tenant, users)
    return WantedRule(tenant=tenant, rule=rule, recipients=recipients, left_out=left_out)


def _with_known_zone(tenant: Tenant) -> Tenant:
    if is_zone(tenant.time_zone):
        return tenant
    logger.warning("time_zone_unknown", extra={"tenant_id": tenant.tenant_id})
    return replace(tenant, time_zone=DEFAULT_TIME_ZONE)


def _is_own(rule: Rule, tenant_rules: TenantRules) -> bool:
    """Say whether the rule is the tenant's; another's must never be asked (R1)."""
    tenant_id = tenant_rules.tenant.tenant_id
    if rule.tenant_id == tenant_id:
        return True
    logger.error("foreign_rule_refused", extra={"tenant_id": tenant_id, "rule_id": rule.rule_id})
    return False
