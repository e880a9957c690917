"""What a rules file says about tenants, users and bank accounts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar
from zoneinfo import available_timezones

from rules_store.addresses import parse_address
from rules_store.files.fields import Field, close_to, hint, quoted
from rules_store.files.plain import kept
from rules_store.zones import is_zone
from schemas.bank_accounts import BankAccount, Iban
from schemas.errors import InvalidValue
from schemas.rules import DEFAULT_TIME_ZONE, Tenant, User
from schemas.vocabulary import AccountId, Language, TenantId, UserId

LANGUAGES = tuple(language.value for language in Language)

ZONES = f"names of the IANA time zone database, like {DEFAULT_TIME_ZONE}"

Thing = TypeVar("Thing")
Fields = dict[str, Field]


@dataclass(frozen=True, slots=True)
class Reading(Generic[Thing]):
    """How things of one kind are read, and what the store has of them, by id."""

    read: Callable[[Field], Thing | None]
    plain: Callable[[Thing], Mapping[str, object]]
    stored: Mapping[str, Thing]


def read_by_id(listing: Field | None, how: Reading[Thing]) -> dict[str, Thing | None]:
    """Return the things of a list by their ids, None for one that has a fault.

    A second thing of one id is a fault.
    """
    things: dict[str, Thing | None] = {}
    lines: dict[str, int] = {}
    for part in (listing.parts() or ()) if listing else ():
        thing_id = part.word_at("id")
        thing = kept(part, partial(how.read, part), how.stored.get(thing_id), how.plain)
        if not thing_id:
            continue
        place = part.find("id") or part
        if thing_id in things:
            place.fault(f"duplicate id {quoted(thing_id)}; first given in line {lines[thing_id]}")
        else:
            things[thing_id], lines[thing_id] = thing, place.node.line
    return things


def read_tenant(fields: Fields) -> Tenant | None:
    """Return the tenant itself."""
    tenant_id = fields["id"].identity() if "id" in fields else None
    name = fields["name"].line_of_text() if "name" in fields else None
    language = read_language(fields.get("language"))
    time_zone = _time_zone(fields.get("time_zone"))
    if tenant_id is None or name is None:
        return None
    return Tenant(
        tenant_id=TenantId(tenant_id),
        name=name,
        language=language or Language.DE,
        time_zone=time_zone or DEFAULT_TIME_ZONE,
    )


def _time_zone(field: Field | None) -> str | None:
    text = field.text() if field else None
    if field is None or text is None or is_zone(text):
        return text
    guess = close_to(text, available_timezones())
    field.fault(f"unknown time zone {quoted(text)}{hint(guess, ZONES)}")
    return None


def read_language(field: Field | None) -> Language | None:
    """Return a language that may be left out."""
    word = field.word("language", LANGUAGES) if field else None
    return None if word is None else Language(word)


def read_user(part: Field) -> User | None:
    """Return a user; the address may be missing (R22)."""
    fields = part.keys(("id", "name"), ("email", "language", "active"))
    user_id = fields["id"].identity() if "id" in fields else None
    name = fields["name"].line_of_text() if "name" in fields else None
    email = read_address(fields["email"]) if "email" in fields else None
    language = read_language(fields.get("language"))
    active = fields["active"].flag() if "active" in fields else True
    if user_id is None or name is None or active is None:
        return None
    return User(user_id=UserId(user_id), name=name, email=email, language=language, active=active)


def read_address(field: Field) -> str | None:
    """Return an address as its identity spells it (R23)."""
    text = field.text()
    if text is None:
        return None
    try:
        return parse_address(text).text
    except InvalidValue as error:
        field.fault(f"{error}; allowed: an address like name@company.example")
        return None


def read_bank_account(part: Field) -> BankAccount | None:
    """Return a bank account; two may have one IBAN."""
    fields = part.keys(("id",), ("iban", "description"))
    account_id = fields["id"].identity() if "id" in fields else None
    iban = _iban(fields.get("iban"))
    description = fields["description"].line_of_text() if "description" in fields else None
    if account_id is None:
        return None
    return BankAccount(AccountId(account_id), iban, description)


def _iban(field: Field | None) -> Iban | None:
    text = field.text() if field else None
    if field is None or text is None:
        return None
    try:
        return Iban.parse(text)
    except InvalidValue:
        field.fault("not an IBAN: length, signs or check digits are wrong (ISO 13616)")
        return None
