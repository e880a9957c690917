"""What finding a rule does not need, kept as a few bytes and unpacked when an event wants it.

A million rules as objects take two gigabytes. Packed, a rule is one UTF-8 text, its pieces apart
by NUL: levels, id, description and subject, then whom the rule names, who gets its mails, and who
is left out and why. The first sign of each of these says which it is.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import product
from typing import Final, TypeAlias

from schemas.addresses import EmailAddress
from schemas.rules import ExternalRecipient, Recipient, Rule, Tenant, Trigger, WantedRule
from schemas.vocabulary import (
    Audience,
    DetailLevel,
    Language,
    LeftOut,
    RuleId,
    SubjectFact,
    UserId,
)

#: The pieces themselves where no text can hold them, which only raw SQL brings about.
Packed: TypeAlias = bytes | tuple[str, ...]
Levels: TypeAlias = tuple[DetailLevel, DetailLevel, frozenset[SubjectFact]]

USER: Final = "u"  #: then the id of a user whom the rule names
UNVERIFIED: Final = "x"  #: then language and address as stored: an external recipient
VERIFIED: Final = "v"  #: then language, instant and address as stored
INTERNAL: Final = "i"  #: then language and address: a user who gets mails
EXTERNAL: Final = "e"  #: then language and address, or the place of the external that spells it so
LEFT_OUT: Final = "-"  #: then the reason and who it is

_INSTANT = len("2026-03-01T12:30:00.000000+00:00")
_FACTS = (frozenset[SubjectFact](), *map(frozenset, product(SubjectFact)), frozenset(SubjectFact))
_SIGNS = [chr(ord("0") + at) for at in range(64)]

#: Levels as one sign: for internal and for external readers, and what the subject may show.
SIGN_OF_LEVELS: Mapping[Levels, str] = dict(
    zip(product(DetailLevel, DetailLevel, _FACTS), _SIGNS, strict=False)
)
SIGN_OF_LANGUAGE: Mapping[Language | None, str] = dict(zip((None, *Language), _SIGNS, strict=False))
SIGN_OF_REASON: Mapping[LeftOut, str] = dict(zip(LeftOut, _SIGNS, strict=False))

_LEVELS = {sign: levels for levels, sign in SIGN_OF_LEVELS.items()}
_LANGUAGES = {sign: language for language, sign in SIGN_OF_LANGUAGE.items()}
_REASONS = {sign: reason for reason, sign in SIGN_OF_REASON.items()}


def pack(
    rule: Rule, recipients: Sequence[Recipient], left_out: Iterable[tuple[str, LeftOut]]
) -> Packed:
    """Pack a rule but for its tenant and its trigger, which the look-up has at hand."""
    levels = (rule.detail_internal, rule.detail_external, rule.subject_may_show)
    pieces = [SIGN_OF_LEVELS[levels], rule.rule_id, rule.description, rule.subject]
    pieces += [USER + user_id for user_id in rule.internal_recipients]
    pieces += map(_external_piece, rule.external_recipients)
    pieces += _recipient_pieces(recipients, rule.external_recipients)
    pieces += [LEFT_OUT + SIGN_OF_REASON[reason] + who for who, reason in left_out]
    return packed(pieces)


def packed(pieces: Sequence[str]) -> Packed:
    """Make one text of the pieces, or keep them where it could not be taken apart again."""
    text = "\0".join(pieces)
    if text.count("\0") >= len(pieces):
        return tuple(pieces)
    try:
        return text.encode()
    except UnicodeEncodeError:  # half a surrogate pair
        return tuple(pieces)


def _external_piece(external: ExternalRecipient) -> str:
    language, at = SIGN_OF_LANGUAGE[external.language], external.verified_at
    if at is None:
        return UNVERIFIED + language + external.address
    return VERIFIED + language + instant_piece(at) + external.address


def instant_piece(at: datetime) -> str:
    """Return an aware instant as UTC, always of one length."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _recipient_pieces(
    recipients: Iterable[Recipient], externals: Sequence[ExternalRecipient]
) -> Iterator[str]:
    places = {external.address: str(at) for at, external in reversed([*enumerate(externals)])}
    for recipient in recipients:
        language, address = SIGN_OF_LANGUAGE[recipient.language], recipient.address.text
        if recipient.audience is Audience.INTERNAL:
            yield INTERNAL + language + address
        else:
            yield EXTERNAL + language + places.get(address, address)


def unpack(rule: Packed, tenant: Tenant, trigger: Trigger) -> WantedRule:
    """Return the rule as it was packed, with all that its mails need."""
    pieces = rule.decode().split("\0") if isinstance(rule, bytes) else rule
    detail_internal, detail_external, may_show = _LEVELS[pieces[0]]
    users: list[UserId] = []
    externals: list[ExternalRecipient] = []
    recipients: list[Recipient] = []
    left_out: list[tuple[str, LeftOut]] = []
    for piece in pieces[4:]:
        kind, sign, rest = piece[0], piece[1:2], piece[2:]
        if kind == USER:
            users.append(UserId(piece[1:]))
        elif kind == INTERNAL:
            address = EmailAddress(rest)
            recipients.append(Recipient(address, Audience.INTERNAL, _language(sign)))
        elif kind == EXTERNAL:
            address = EmailAddress(rest if "@" in rest else externals[int(rest)].address)
            recipients.append(Recipient(address, Audience.EXTERNAL, _language(sign)))
        elif kind == LEFT_OUT:
            left_out.append((rest, _REASONS[sign]))
        else:
            externals.append(_external(kind, _LANGUAGES[sign], rest))
    return WantedRule(
        tenant=tenant,
        rule=Rule(
            tenant_id=tenant.tenant_id,
            rule_id=RuleId(pieces[1]),
            description=pieces[2],
            trigger=trigger,
            subject=pieces[3],
            subject_may_show=may_show,
            detail_internal=detail_internal,
            detail_external=detail_external,
            internal_recipients=tuple(users),
            external_recipients=tuple(externals),
        ),
        recipients=tuple(recipients),
        left_out=tuple(left_out),
    )


def _language(sign: str) -> Language:
    return _LANGUAGES[sign] or Language.DE


def _external(kind: str, language: Language | None, rest: str) -> ExternalRecipient:
    if kind == UNVERIFIED:
        return ExternalRecipient(address=rest, language=language)
    at = datetime.fromisoformat(rest[:_INSTANT])
    return ExternalRecipient(address=rest[_INSTANT:], language=language, verified_at=at)
