"""A tenant's rules as a look-up wants them: flat tuples side by side, one place for each rule.

Found by bit mask and account alone (performance.md, section 5); everything else of a rule is packed
until an event wants it. The answers are those of `matching.judge`.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache, reduce
from operator import or_
from typing import Final, NamedTuple, TypeAlias

from rules_store.packing import Packed, pack
from rules_store.recipients import Resolved, Verification, recipients_of, resolve_users
from rules_store.zones import is_zone
from schemas.events import Routing
from schemas.rules import (
    DEFAULT_TIME_ZONE,
    AllAccounts,
    ChosenAccounts,
    OnFileRejected,
    OnStatusUpdated,
    Rule,
    Tenant,
    TenantRules,
    Trigger,
)
from schemas.vocabulary import TICKABLE, AccountId, EventType, PaymentStatus, UserId

logger = logging.getLogger(__name__)

#: None is every account; nobody chosen is the empty tuple and matches none (R8).
Accounts: TypeAlias = tuple[AccountId, ...] | None
Match: TypeAlias = tuple[int, Accounts, Packed]

#: A bit for each status that a rule can hold; only tickable ones are ever asked for (R11).
BIT: Final[Mapping[str, int]] = {status: 1 << at for at, status in enumerate(PaymentStatus)}
_ASKED: Final[Mapping[str | None, int]] = {status: BIT[status] for status in TICKABLE}

#: One object for each mask: beyond 256 Python would make one for each rule.
MASKS: Final = tuple(range(1 << len(PaymentStatus)))
FILE_REJECTED: Final = -1  #: in the place of a mask: the rule waits for rejected files


class TenantEntry(NamedTuple):
    """A tenant's rules, by event type and then by id; disabled ones are left out."""

    tenant: Tenant
    any_status: int = 0  #: the masks of all its status rules together: most updates end here
    masks: tuple[int, ...] = ()
    accounts: tuple[Accounts, ...] = ()
    on_update: tuple[Packed, ...] = ()
    on_rejected: tuple[Packed, ...] = ()
    rejected_rules: int = 0  #: that cannot be meant (R5)

    @property
    def rules(self) -> int:
        """Return how many rules can want an event."""
        return len(self.on_update) + len(self.on_rejected)

    def matching(self, routing: Routing) -> Sequence[Match]:
        """Return the rules that want an event of this tenant, by id."""
        if routing.event_type is EventType.PAYMENT_FILE_REJECTED:
            return [(FILE_REJECTED, None, rule) for rule in self.on_rejected]
        bit = _ASKED.get(routing.status, 0)
        if not self.any_status & bit or routing.status == routing.previous_status:
            return ()
        touched = frozenset(routing.account_ids)
        return [
            (mask, accounts, rule)
            for mask, accounts, rule in zip(self.masks, self.accounts, self.on_update, strict=False)
            if mask & bit and (accounts is None or not touched.isdisjoint(accounts))
        ]


def trigger_of(mask: int, accounts: Accounts) -> Trigger:
    """Return the trigger that a match stands for."""
    if accounts is None:
        return _trigger(mask)
    return OnStatusUpdated(_ticked(mask), ChosenAccounts(frozenset(accounts)))


@cache
def _trigger(mask: int) -> Trigger:
    return (
        OnFileRejected() if mask == FILE_REJECTED else OnStatusUpdated(_ticked(mask), AllAccounts())
    )


@cache
def _ticked(mask: int) -> frozenset[PaymentStatus]:
    return frozenset(status for status in PaymentStatus if mask & BIT[status])


def compile_tenant(
    tenant_rules: TenantRules, verification: Verification, rejected_rules: int = 0
) -> TenantEntry:
    """Compile a tenant's rules, all its own."""
    tenant = with_known_zone(tenant_rules.tenant)
    users = resolve_users(tenant_rules.users)
    matches = [
        compile_rule(rule, tenant, users, verification)
        for rule in sorted(tenant_rules.rules, key=lambda rule: rule.rule_id)
        if rule.enabled
    ]
    return entry_of(tenant, matches, rejected_rules)


def entry_of(tenant: Tenant, matches: Sequence[Match], rejected_rules: int = 0) -> TenantEntry:
    """Lay enabled rules, sorted by id, side by side."""
    on_update = [match for match in matches if match[0] != FILE_REJECTED]
    masks = tuple([mask for mask, _, _ in on_update])
    return TenantEntry(
        tenant,
        reduce(or_, masks, 0),
        masks,
        tuple([accounts for _, accounts, _ in on_update]),
        tuple([rule for _, _, rule in on_update]),
        tuple([rule for mask, _, rule in matches if mask == FILE_REJECTED]),
        rejected_rules,
    )


def compile_rule(
    rule: Rule, tenant: Tenant, users: Mapping[UserId, Resolved], verification: Verification
) -> Match:
    """Take a rule apart into what finds it and the packed rest."""
    whole = pack(rule, *recipients_of(rule, tenant, users, verification))
    trigger = rule.trigger
    if isinstance(trigger, OnFileRejected):
        return FILE_REJECTED, None, whole
    chosen = trigger.accounts
    accounts = tuple(sorted(chosen.account_ids)) if isinstance(chosen, ChosenAccounts) else None
    return _mask(trigger.ticked), accounts, whole


def _mask(ticked: Iterable[PaymentStatus]) -> int:
    return MASKS[sum(BIT[status] for status in frozenset(ticked))]


def with_known_zone(tenant: Tenant) -> Tenant:
    """Return the tenant with a time zone that this machine knows: its own, or the default (R25)."""
    if is_zone(tenant.time_zone):
        return tenant
    logger.warning("time_zone_unknown", extra={"tenant_id": tenant.tenant_id})
    return replace(tenant, time_zone=DEFAULT_TIME_ZONE)
