"""The rows of some tenants straight to their entries, for loading a million rules.

Gives exactly what `read_rows` and `compile_tenant` give, without a `Rule` in between: a few
microseconds a rule instead of thirty. A tenant with anything unusual in its rows goes that readable
way, so what a row may mean that raw SQL has spoilt is decided in one place.
"""

import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from itertools import groupby, product
from operator import itemgetter
from typing import Any, Final, TypeAlias, cast

from rules_store.breaks import Breathe, no_break, with_breaks
from rules_store.entries import (
    ASKED,
    MASKS,
    Accounts,
    TenantEntry,
    entry_of,
    with_known_zone,
)
from rules_store.packing import (
    SIGN_OF_LEVELS,
    USER,
    Packed,
    external_piece,
    pack_users,
    packed,
)
from rules_store.rows import Row, StoredRows, read_rows
from rules_store.snapshot import Snapshot
from schemas.rules import Tenant
from schemas.vocabulary import (
    AccountId,
    DetailLevel,
    EventType,
    Generation,
    Language,
    SubjectFact,
    TenantId,
)

# Rows as they are wherever nobody has spoilt them. Where somebody has, a look-up or a joining below
# raises KeyError or TypeError, and the tenant goes the readable way.
_User: TypeAlias = tuple[str, str, str, str | None, Language | None, bool]
_Rule: TypeAlias = tuple[str, str, str, str, bool, str, bool, bool, str, str, bool]
_Part: TypeAlias = tuple[str, str, str]
_Internal: TypeAlias = tuple[str, str, str, int]
_External: TypeAlias = tuple[str, str, str, int, Language | None, datetime | None]

_TENANT: Final[Any] = itemgetter(0)
_RULE: Final[Any] = itemgetter(1)
_POSITION: Final[Any] = itemgetter(3, 2)

_LOWERED = {DetailLevel.FULL: DetailLevel.STANDARD}  # what externals never get (R30)
#: Sign of levels by their columns: what the subject may show, levels inside and outside.
_SIGN_OF_COLUMNS: Final[Mapping[tuple[bool, bool, str, str], str]] = {
    (amount, reference, inside, outside): SIGN_OF_LEVELS[
        inside,
        _LOWERED.get(outside, outside),
        frozenset(
            fact
            for fact, shown in ((SubjectFact.AMOUNT, amount), (SubjectFact.REFERENCE, reference))
            if shown
        ),
    ]
    for amount, reference, inside, outside in product(
        (False, True), (False, True), DetailLevel, DetailLevel
    )
}
_LANGUAGE_OF = {str(language): language for language in Language}
_ON_UPDATE, _ON_REJECTED = map(
    str, (EventType.PAYMENT_STATUS_UPDATED, EventType.PAYMENT_FILE_REJECTED)
)


def compile_rows(stored: StoredRows, breathe: Breathe = no_break) -> Mapping[TenantId, TenantEntry]:
    """Compile all rows of some tenants, in any order; those without any rule have no entry.

    `breathe` is called after each stretch of rows.
    """
    try:
        entries, unusual = _compile_usual(stored, breathe)
    except (KeyError, TypeError):  # ids that are no text: whose rows they are is not even clear
        return compile_readably(by_position(stored))
    if unusual:
        entries |= compile_readably(by_position(_rows_of(unusual, stored)))
    return entries


def compile_readably(stored: StoredRows) -> Mapping[TenantId, TenantEntry]:
    """Compile rows, recipients sorted, by way of rules: what the fast way is held to."""
    loaded = read_rows(Generation(0), stored)
    return Snapshot.compile(loaded.rules, loaded.rejected).entries


def by_position(stored: StoredRows) -> StoredRows:
    """Sort recipients by position, and where that is the same by id or address."""
    return replace(
        stored,
        internal_recipients=_by_position(stored.internal_recipients),
        external_recipients=_by_position(stored.external_recipients),
    )


def _by_position(rows: Iterable[Row]) -> list[Row]:
    try:
        return sorted(rows, key=_POSITION)
    except TypeError:  # SQLite takes any value in any column
        return sorted(rows, key=lambda row: (str(row[3]), str(row[2])))


def _rows_of(tenant_ids: set[str], stored: StoredRows) -> StoredRows:
    def own(rows: Iterable[Row]) -> list[Row]:
        return [row for row in rows if row[0] in tenant_ids]

    return StoredRows(
        tenants=own(stored.tenants),
        users=own(stored.users),
        rules=own(stored.rules),
        statuses=own(stored.statuses),
        accounts=own(stored.accounts),
        internal_recipients=own(stored.internal_recipients),
        external_recipients=own(stored.external_recipients),
    )


def _compile_usual(
    stored: StoredRows, breathe: Breathe
) -> tuple[dict[TenantId, TenantEntry], set[str]]:
    """Return the entries of tenants whose rows are as they should be, and all other tenants."""
    rows = _ByTenant(stored)
    entries: dict[TenantId, TenantEntry] = {}
    unusual: set[str] = set()
    for row in cast(Iterable[tuple[str, str, str, str]], stored.tenants):
        tenant_id = row[0]
        if tenant_id not in rows.rules:
            continue
        try:
            tenant = _tenant(*row)
            entries[tenant.tenant_id] = _entry(tenant, rows, breathe)
        except (KeyError, TypeError):
            unusual.add(tenant_id)
    return entries, unusual


def _tenant(tenant_id: str, name: str, language: str, time_zone: str) -> Tenant:
    tenant = Tenant(
        tenant_id=TenantId(tenant_id),
        name="" + name,
        language=_LANGUAGE_OF[language],
        time_zone=sys.intern(time_zone),  # a few for all tenants
    )
    return with_known_zone(tenant)


class _ByTenant:
    """The rows of each table by tenant: a rule's id, all that then tells rows apart, is one text.

    Rows of a tenant stand together in what a database gives, which is all that makes this fast.
    """

    def __init__(self, stored: StoredRows) -> None:
        self.users: Mapping[str, list[_User]] = _by_tenant(stored.users)
        self.rules: Mapping[str, list[_Rule]] = _by_tenant(stored.rules)
        self.statuses: Mapping[str, list[_Part]] = _by_tenant(stored.statuses)
        self.accounts: Mapping[str, list[_Part]] = _by_tenant(stored.accounts)
        self.internal: Mapping[str, list[_Internal]] = _by_tenant(stored.internal_recipients)
        self.external: Mapping[str, list[_External]] = _by_tenant(stored.external_recipients)


def _by_tenant(rows: Iterable[Row]) -> Mapping[str, list[Any]]:
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for tenant_id, own in groupby(rows, _TENANT):
        found[tenant_id] += own
    return found


def _entry(tenant: Tenant, rows: _ByTenant, breathe: Breathe) -> TenantEntry:
    """Compile a tenant's rules."""
    own = tenant.tenant_id
    ticked = _masks(with_breaks(rows.statuses.get(own, ()), breathe))
    chosen = _chosen(with_breaks(rows.accounts.get(own, ()), breathe))
    named = _named(rows, own, breathe)
    masks: list[int] = []
    accounts: list[Accounts] = []
    on_update: list[Packed] = []
    on_rejected: list[Packed] = []
    # fmt: off
    for (_, rule_id, description, event_type, all_accounts, subject, amount, reference, inside,
         outside, enabled) in with_breaks(sorted(rows.rules[own], key=_RULE), breathe):
        # fmt: on
        sign = _SIGN_OF_COLUMNS[amount, reference, inside, outside]
        rule = packed((sign, rule_id, description, subject, *named.get(rule_id, ())))
        if event_type == _ON_UPDATE:
            if enabled:
                masks.append(MASKS[ticked.get(rule_id, 0)])
                accounts.append(None if all_accounts else tuple(sorted(chosen.get(rule_id, ()))))
                on_update.append(rule)
        elif event_type == _ON_REJECTED:
            if enabled:
                on_rejected.append(rule)
        else:
            raise KeyError("an event type that this version does not know")
    users = with_breaks(rows.users.get(own, ()), breathe)
    return entry_of(
        tenant,
        masks=masks,
        accounts=accounts,
        on_update=on_update,
        on_rejected=on_rejected,
        users=pack_users(
            [(user_id, email, language, active) for _, user_id, _, email, language, active in users]
        ),
    )


def _masks(rows: Iterable[_Part]) -> Mapping[str, int]:
    masks: dict[str, int] = {}
    for _, rule_id, status in rows:
        masks[rule_id] = masks.get(rule_id, 0) | ASKED.get(status, 0)
    return masks


def _chosen(rows: Iterable[_Part]) -> Mapping[str, list[AccountId]]:
    """Return the accounts of each rule, one object for those that several rules name."""
    shared: dict[str, AccountId] = {}
    chosen: defaultdict[str, list[AccountId]] = defaultdict(list)
    for _, rule_id, account in rows:
        chosen[rule_id].append(shared.setdefault(account, AccountId("" + account)))
    return chosen


def _named(rows: _ByTenant, own: TenantId, breathe: Breathe) -> Mapping[str, list[str]]:
    """Return the pieces of whom each rule names, users first, by position."""
    named: defaultdict[str, list[str]] = defaultdict(list)
    internal = sorted(rows.internal.get(own, ()), key=_POSITION)
    for _, rule_id, user_id, _ in with_breaks(internal, breathe):
        named[rule_id].append(USER + user_id)
    external = sorted(rows.external.get(own, ()), key=_POSITION)
    for _, rule_id, address, _, language, at in with_breaks(external, breathe):
        named[rule_id].append(external_piece(language, at, address))
    return named
