"""Who gets a rule's mails, and who is left out and why (R20 to R25)."""

from collections.abc import Iterator, Mapping
from enum import StrEnum

from rules_store.addresses import parse_address, split_addresses
from rules_store.plain_addresses import is_plain
from schemas.addresses import EmailAddress
from schemas.errors import InvalidValue
from schemas.rules import ExternalRecipient, Recipient, Rule, Tenant, User
from schemas.vocabulary import Audience, Language, LeftOut, UserId

Resolved = Recipient | LeftOut  # what becomes of somebody who is named in a rule


class Verification(StrEnum):
    """Whether an external address gets mails before somebody has verified it."""

    OFF = "off"  #: nobody asks
    REQUIRED = "required"  #: only verified ones get mails


def resolve_users(users: Mapping[UserId, User]) -> Mapping[UserId, Resolved]:
    """Return what becomes of each user of a tenant, once for all its rules (R20, R22)."""
    return {user_id: _resolve_user(user) for user_id, user in users.items()}


def recipients_of(
    rule: Rule,
    tenant: Tenant,
    users: Mapping[UserId, Resolved],
    verification: Verification = Verification.OFF,
) -> tuple[tuple[Recipient, ...], tuple[tuple[str, LeftOut], ...]]:
    """Return a rule's recipients, one per address identity, and whoever is left out.

    Internal ones come first, so they win over external ones of the same address. Folding comes
    after leaving out: a user who is left out does not hide the same address entered as external.
    """
    recipients: dict[str, Recipient] = {}
    left_out: list[tuple[str, LeftOut]] = []
    for who, resolved in _resolve(rule, tenant, users, verification):
        if isinstance(resolved, LeftOut):
            left_out.append((who, resolved))
        else:
            recipients.setdefault(resolved.address.text, resolved)
    return tuple(recipients.values()), tuple(left_out)


def _resolve(
    rule: Rule, tenant: Tenant, users: Mapping[UserId, Resolved], verification: Verification
) -> Iterator[tuple[str, Resolved]]:
    # who, as a log may name them, and what becomes of them
    for user_id in rule.internal_recipients:
        yield user_id, users.get(user_id, LeftOut.DELETED)
    for at, external in enumerate(rule.external_recipients, start=1):
        for text in split_addresses(external.address) or ("",):
            yield f"external {at}", _resolve_external(text, external, tenant, verification)


def _resolve_user(user: User) -> Resolved:
    if not user.active:
        return LeftOut.INACTIVE
    if not user.email or not user.email.strip():
        return LeftOut.NO_ADDRESS
    return _recipient(user.email, Audience.INTERNAL, user.language or Language.DE)


def _resolve_external(
    text: str, stored: ExternalRecipient, tenant: Tenant, verification: Verification
) -> Resolved:
    recipient = _recipient(text, Audience.EXTERNAL, stored.language or tenant.language)
    if verification is Verification.REQUIRED and stored.verified_at is None:
        return recipient if isinstance(recipient, LeftOut) else LeftOut.UNVERIFIED
    return recipient


def _recipient(text: str, audience: Audience, language: Language) -> Resolved:
    try:
        address = EmailAddress(text) if is_plain(text) else parse_address(text)
    except InvalidValue:
        return LeftOut.BAD_ADDRESS
    return Recipient(address, audience, language)
