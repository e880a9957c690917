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

from rules_store.packing import Packed, PackedUsers, pack, pack_users
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
from schemas.vocabulary import TICKABLE, AccountId, EventType, PaymentStatus

logger = logging.getLogger(__name__)

#: None is every account; nobody chosen is the empty tuple and matches none (R8).
Accounts: TypeAlias = tuple[AccountId, ...] | None
Match: TypeAlias = tuple[int, Accounts, Packed]

_BIT: Final[Mapping[str, int]] = {status: 1 << at for at, status in enumerate(PaymentStatus)}
#: The bit of each status that is ever asked for: KON_REJECTED is another event type (R11).
#: By plain text, which is faster to compare than a word.
ASKED: Final[Mapping[str | None, int]] = {status.value: _BIT[status] for status in TICKABLE}

#: One object for each mask: beyond 256 Python would make one for each rule.
MASKS: Final = tuple(range(1 << len(PaymentStatus)))
_REJECTION: Final = EventType.PAYMENT_FILE_REJECTED  # an attribute of a class of words is slow
FILE_REJECTED: Final = -1  #: in the place of a mask: the rule waits for rejected files


class TenantEntry(NamedTuple):
    """A tenant's rules, by event type and then by id; disabled ones are left out."""

    tenant: Tenant
    any_status: int = 0  #: the masks of all its status rules together: most updates end here
    masks: tuple[int, ...] = ()
    accounts: tuple[Accounts, ...] = ()
    on_update: tuple[Packed, ...] = ()
    on_rejected: tuple[Packed, ...] = ()
    users: PackedUsers = ""
    rejected_rules: int = 0  #: that cannot be meant (R5)

    @property
    def rules(self) -> int:
        """Return how many rules can want an event."""
        return len(self.on_update) + len(self.on_rejected)

    def matching(self, routing: Routing) -> Sequence[Match]:
        """Return the rules that want an event of this tenant, by id."""
        event_type, _, _, status, previous_status, account_ids = routing
        if event_type is _REJECTION:
            return [(FILE_REJECTED, None, rule) for rule in self.on_rejected]
        bit = ASKED.get(status, 0)
        if not self.any_status & bit or status == previous_status:
            return ()
        # Among a million rules the time goes into memory that no processor has at hand: of a rule
        # that waits for other statuses, nothing but the mask is touched.
        masks, accounts, touched = self.masks, self.accounts, frozenset(account_ids)
        return [
            (mask, chosen, self.on_update[at])
            for at, mask in enumerate(masks)
            if mask & bit and ((chosen := accounts[at]) is None or not touched.isdisjoint(chosen))
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
    return frozenset(status for status in PaymentStatus if mask & _BIT[status])


def compile_tenant(tenant_rules: TenantRules, rejected_rules: int = 0) -> TenantEntry:
    """Compile a tenant's rules, all its own."""
    rules = sorted(tenant_rules.rules, key=lambda rule: rule.rule_id)
    matches = [compile_rule(rule) for rule in rules if rule.enabled]
    on_update = [match for match in matches if match[0] != FILE_REJECTED]
    users = tenant_rules.users.values()
    return entry_of(
        with_known_zone(tenant_rules.tenant),
        masks=[mask for mask, _, _ in on_update],
        accounts=[accounts for _, accounts, _ in on_update],
        on_update=[rule for _, _, rule in on_update],
        on_rejected=[rule for mask, _, rule in matches if mask == FILE_REJECTED],
        users=pack_users((one.user_id, one.email, one.language, one.active) for one in users),
        rejected_rules=rejected_rules,
    )


def entry_of(
    tenant: Tenant,
    *,
    masks: Iterable[int],
    accounts: Iterable[Accounts],
    on_update: Iterable[Packed],
    on_rejected: Iterable[Packed],
    users: PackedUsers,
    rejected_rules: int = 0,
) -> TenantEntry:
    """Return the entry of a tenant's enabled rules, each kind sorted by id."""
    held = tuple(masks)
    return TenantEntry(
        tenant,
        reduce(or_, held, 0),
        held,
        tuple(accounts),
        tuple(on_update),
        tuple(on_rejected),
        users,
        rejected_rules,
    )


def compile_rule(rule: Rule) -> Match:
    """Take a rule apart into what finds it and the packed rest."""
    trigger = rule.trigger
    if isinstance(trigger, OnFileRejected):
        return FILE_REJECTED, None, pack(rule)
    chosen = trigger.accounts
    accounts = tuple(sorted(chosen.account_ids)) if isinstance(chosen, ChosenAccounts) else None
    return _mask(trigger.ticked), accounts, pack(rule)


def _mask(ticked: Iterable[PaymentStatus]) -> int:
    return MASKS[sum(_BIT[status] for status in frozenset(ticked))]


def with_known_zone(tenant: Tenant) -> Tenant:
    """Return the tenant with a time zone that this machine knows: its own, or the default (R25)."""
    if is_zone(tenant.time_zone):
        return tenant
    logger.warning("time_zone_unknown", extra={"tenant_id": tenant.tenant_id})
    return replace(tenant, time_zone=DEFAULT_TIME_ZONE)
