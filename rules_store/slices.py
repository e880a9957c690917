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
    PackedUsers,
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
_Key: TypeAlias = tuple[str, str]  # tenant, rule

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
    ordered = by_position(stored)
    try:
        entries, unusual = _compile_usual(ordered, breathe)
    except (KeyError, TypeError):  # ids that are no text: whose rows they are is not even clear
        return compile_readably(ordered)
    if unusual:
        entries |= compile_readably(_rows_of(unusual, ordered))
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
        return sorted(rows, key=cast(Any, itemgetter(3, 2)))
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
    rules = sorted(cast(Iterable[_Rule], stored.rules))
    by_tenant = {tenant_id: list(own) for tenant_id, own in groupby(rules, itemgetter(0))}
    users: defaultdict[str, list[tuple[str, str | None, Language | None, bool]]]
    users = defaultdict(list)
    for tenant_id, user_id, _, email, language, active in with_breaks(
        cast(Iterable[_User], stored.users), breathe
    ):
        users[tenant_id].append((user_id, email, language, active))
    parts = _Parts(stored, breathe)
    entries: dict[TenantId, TenantEntry] = {}
    unusual: set[str] = set()
    for row in cast(Iterable[tuple[str, str, str, str]], stored.tenants):
        tenant_id = row[0]
        if tenant_id not in by_tenant:
            continue
        try:
            tenant, known = _tenant(*row), pack_users(users[tenant_id])
            entries[tenant.tenant_id] = parts.entry(tenant, by_tenant[tenant_id], known)
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


class _Parts:
    """What belongs to rules, by tenant and rule."""

    def __init__(self, stored: StoredRows, breathe: Breathe) -> None:
        self._breathe = breathe
        self._masks: defaultdict[_Key, int] = defaultdict(int)
        for tenant_id, rule_id, status in with_breaks(
            cast(Iterable[_Part], stored.statuses), breathe
        ):
            self._masks[tenant_id, rule_id] |= ASKED.get(status, 0)
        self._accounts: defaultdict[_Key, list[str]] = defaultdict(list)
        for tenant_id, rule_id, account in with_breaks(
            cast(Iterable[_Part], stored.accounts), breathe
        ):
            self._accounts[tenant_id, rule_id].append("" + account)
        self._named: defaultdict[_Key, list[str]] = defaultdict(list)
        for tenant_id, rule_id, user_id, _ in with_breaks(
            cast(Iterable[_Internal], stored.internal_recipients), breathe
        ):
            self._named[tenant_id, rule_id].append(USER + user_id)
        for tenant_id, rule_id, address, _, language, at in with_breaks(
            cast(Iterable[_External], stored.external_recipients), breathe
        ):
            self._named[tenant_id, rule_id].append(external_piece(language, at, address))

    def entry(self, tenant: Tenant, rules: Iterable[_Rule], users: PackedUsers) -> TenantEntry:
        """Compile a tenant's rules, sorted by id."""
        masks: list[int] = []
        accounts: list[Accounts] = []
        on_update: list[Packed] = []
        on_rejected: list[Packed] = []
        shared: dict[str, AccountId] = {}
        # fmt: off
        for (tenant_id, rule_id, description, event_type, all_accounts, subject, amount, reference,
             inside, outside, enabled) in with_breaks(rules, self._breathe):
            # fmt: on
            key = (tenant_id, rule_id)
            sign = _SIGN_OF_COLUMNS[amount, reference, inside, outside]
            rule = packed((sign, rule_id, description, subject, *self._named.get(key, ())))
            if event_type == _ON_UPDATE:
                if enabled:
                    masks.append(MASKS[self._masks.get(key, 0)])
                    accounts.append(None if all_accounts else self._chosen(key, shared))
                    on_update.append(rule)
            elif event_type == _ON_REJECTED:
                if enabled:
                    on_rejected.append(rule)
            else:
                raise KeyError("an event type that this version does not know")
        return entry_of(
            tenant,
            masks=masks,
            accounts=accounts,
            on_update=on_update,
            on_rejected=on_rejected,
            users=users,
        )

    def _chosen(self, key: _Key, shared: dict[str, AccountId]) -> Accounts:
        chosen = sorted(self._accounts.get(key, ()))
        return tuple([shared.setdefault(account, AccountId(account)) for account in chosen])
