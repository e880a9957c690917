"""What the rules of a tenant may name: its users and bank accounts."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from rules_store.files.fields import NOT_SHOWN, Field, close_to, hint, quoted
from schemas.vocabulary import Language, RuleId, TenantId

_LISTED = 10  # ids that a fault lists as allowed

#: Users and accounts that stored rules name although they are gone: the reference may stay.
Dangling = Mapping[RuleId, frozenset[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a tenant's rules may name. `names` are words of its users' names, never quoted."""

    tenant_id: TenantId
    language: Language
    users: Collection[str]
    bank_accounts: Collection[str]
    names: Collection[str]
    dangling: Dangling
    gone_may_stay: bool = False  #: any reference may lead nowhere


def read_references(
    field: Field | None, what: str, there: Collection[str], known: Known, stays: frozenset[str]
) -> tuple[str, ...]:
    """Return the ids of a list that must name things of the tenant, each once."""
    ids: dict[str, None] = {}
    for part in (field.some_parts() or ()) if field else ():
        identity = part.identity()
        if identity is None:
            continue
        ids[identity] = None
        if identity in there:
            continue
        if known.gone_may_stay or identity in stays:
            part.note(f"{what} {_quoted_id(identity, known)} is gone; the reference stays")
            continue
        allowed = hint(close_to(identity, there), _listed(there))
        part.fault(f"unknown {what} {_quoted_id(identity, known)}{allowed}")
    return tuple(ids)


def _quoted_id(identity: str, known: Known) -> str:
    """Return an id in quotes, unless somebody's name stands in its place."""
    words = identity.split()
    is_name = len(words) > 1 or any(word.casefold() in known.names for word in words)
    return NOT_SHOWN if is_name else quoted(identity)


def _listed(there: Collection[str]) -> str:
    if not there:
        return "none, the tenant has none"
    more = ", …" if len(there) > _LISTED else ""
    return f"{', '.join(sorted(there)[:_LISTED])}{more}"
