"""Rows as they are stored, in the form of a rules file: raw SQL is then judged as files are."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from rules_store.rows import Row, StoredRows
from schemas.vocabulary import EventType, SubjectFact

Plain = dict[str, object]


@dataclass(frozen=True, slots=True)
class RawTenant:
    """A tenant's rows as the plain values of a rules file."""

    tenant_id: str
    plain: Plain


def raw_tenants(stored: StoredRows) -> Iterator[RawTenant]:
    """Return the tenants of some rows; nothing is mended, left out or taken for granted."""
    users = _by_tenant(stored.users, _user)
    accounts = _by_tenant(stored.bank_accounts, _account)
    parts = _parts(stored)
    rules = _by_tenant(stored.rules, lambda row: _rule(row, parts))
    for tenant_id, name, language, time_zone in stored.tenants:
        yield RawTenant(
            str(tenant_id),
            {
                "id": tenant_id,
                "name": name,
                "language": language,
                "time_zone": time_zone,
                "users": users[tenant_id],
                "bank_accounts": accounts[tenant_id],
                "rules": rules[tenant_id],
            },
        )


def _by_tenant(rows: Iterable[Row], plain: Callable[[Row], Plain]) -> Mapping[object, list[Plain]]:
    found: defaultdict[object, list[Plain]] = defaultdict(list)
    for row in rows:
        found[row[0]].append(plain(row))
    return found


def _user(row: Row) -> Plain:
    _, user_id, name, email, language, active = row
    plain: Plain = {"id": user_id, "name": name, "active": bool(active)}
    if isinstance(email, str) and not email.strip():
        email = None  # no address is no fault, and empty says the same (R22)
    return plain | _given(email=email, language=language)


def _account(row: Row) -> Plain:
    _, account_id, iban, description = row
    return {"id": account_id} | _given(iban=iban, description=description)


def _given(**values: object) -> Plain:
    return {name: value for name, value in values.items() if value is not None}


def _rule(row: Row, parts: "Mapping[Row, _Parts]") -> Plain:
    (_, rule_id, description, event, all_accounts, subject, amount, reference, *rest) = row
    internal, external, enabled = rest
    own = parts[row[:2]]
    plain: Plain = {"id": rule_id, "description": description, "event": event}
    # a rule for rejected files has none of these; what stands there all the same is ignored (R6)
    if event != EventType.PAYMENT_FILE_REJECTED or own.statuses:
        plain["statuses"] = own.statuses
    if event != EventType.PAYMENT_FILE_REJECTED or own.accounts or all_accounts:
        plain["bank_accounts"] = "all" if all_accounts else own.accounts
    shown = {SubjectFact.AMOUNT: amount, SubjectFact.REFERENCE: reference}
    plain |= {
        "detail": {"internal": internal, "external": external},
        "subject_may_show": [fact.value for fact, is_shown in shown.items() if is_shown],
        "enabled": bool(enabled),
        "subject": subject,
    }
    if own.internal:
        plain["internal_recipients"] = own.internal
    if own.external:
        plain["external_recipients"] = own.external
    return plain


@dataclass(slots=True)
class _Parts:
    statuses: list[object] = field(default_factory=list)
    accounts: list[object] = field(default_factory=list)
    internal: list[object] = field(default_factory=list)
    external: list[Plain] = field(default_factory=list)


def _parts(stored: StoredRows) -> Mapping[Row, _Parts]:
    parts: defaultdict[Row, _Parts] = defaultdict(_Parts)
    for *rule, status in stored.statuses:
        parts[tuple(rule)].statuses.append(status)
    for *rule, account_id in stored.accounts:
        parts[tuple(rule)].accounts.append(account_id)
    for tenant_id, rule_id, user_id, _ in stored.internal_recipients:
        parts[tenant_id, rule_id].internal.append(user_id)
    for tenant_id, rule_id, address, _, language, _ in stored.external_recipients:
        found: Plain = {"email": address}
        parts[tenant_id, rule_id].external.append(found | _given(language=language))
    return parts
