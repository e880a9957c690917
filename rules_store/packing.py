"""What finding a rule does not need, kept as a few bytes and unpacked when an event wants it.

A million rules as objects take two gigabytes. Packed, a rule is one UTF-8 text, its pieces apart
by NUL: levels, id, description, subject, then whom it names; the first sign of a name says of which
kind it is. A tenant's users are one text too, in which one of them is found by id.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import product
from typing import Final, TypeAlias

from schemas.rules import ExternalRecipient, Rule, Tenant, Trigger, User
from schemas.vocabulary import DetailLevel, Language, RuleId, SubjectFact, UserId

#: The pieces themselves where no text can hold them, which only raw SQL brings about.
Packed: TypeAlias = bytes | tuple[str, ...]
PackedUsers: TypeAlias = str | Mapping[str, str]
Levels: TypeAlias = tuple[DetailLevel, DetailLevel, frozenset[SubjectFact]]

USER: Final = "u"  #: then the id of a user
UNVERIFIED: Final = "x"  #: then language and address of an external recipient
VERIFIED: Final = "v"  #: then language, instant and address of an external recipient

_INSTANT = len("2026-03-01T12:30:00.000000+00:00")
_SIGNS = [chr(ord("0") + at) for at in range(64)]
_FACTS = (frozenset[SubjectFact](), *map(frozenset, product(SubjectFact)), frozenset(SubjectFact))

#: Levels as one sign: for internal and for external readers, and what the subject may show.
SIGN_OF_LEVELS: Mapping[Levels, str] = dict(
    zip(product(DetailLevel, DetailLevel, _FACTS), _SIGNS, strict=False)
)
SIGN_OF_LANGUAGE: Mapping[Language | None, str] = dict(zip((None, *Language), _SIGNS, strict=False))
_LEVELS = {sign: levels for levels, sign in SIGN_OF_LEVELS.items()}
_LANGUAGES = {sign: language for language, sign in SIGN_OF_LANGUAGE.items()}
_ACTIVE, _INACTIVE = "+", "-"


def pack(rule: Rule) -> Packed:
    """Pack a rule but for its tenant and its trigger, which the look-up has at hand."""
    levels = (rule.detail_internal, rule.detail_external, rule.subject_may_show)
    return packed(
        (
            *(SIGN_OF_LEVELS[levels], rule.rule_id, rule.description, rule.subject),
            *(USER + user_id for user_id in rule.internal_recipients),
            *(
                external_piece(one.language, one.verified_at, one.address)
                for one in rule.external_recipients
            ),
        )
    )


def packed(pieces: Sequence[str]) -> Packed:
    """Make one text of the pieces, or keep them where it could not be taken apart again."""
    text = "\0".join(pieces)
    if text.count("\0") >= len(pieces):
        return tuple(pieces)
    try:
        return text.encode()
    except UnicodeEncodeError:  # half a surrogate pair
        return tuple(pieces)


def external_piece(language: Language | None, verified_at: datetime | None, address: str) -> str:
    """Return the piece of an external recipient; instants are all of one length."""
    sign = SIGN_OF_LANGUAGE[language]
    if verified_at is None:
        return UNVERIFIED + sign + address
    at = verified_at.astimezone(UTC).isoformat(timespec="microseconds")
    return VERIFIED + sign + at + address


def unpack(rule: Packed, tenant: Tenant, trigger: Trigger) -> Rule:
    """Return the enabled rule that was packed."""
    pieces = rule.decode().split("\0") if isinstance(rule, bytes) else rule
    detail_internal, detail_external, may_show = _LEVELS[pieces[0]]
    named = pieces[4:]
    return Rule(
        tenant_id=tenant.tenant_id,
        rule_id=RuleId(pieces[1]),
        description=pieces[2],
        trigger=trigger,
        subject=pieces[3],
        subject_may_show=may_show,
        detail_internal=detail_internal,
        detail_external=detail_external,
        internal_recipients=tuple([UserId(piece[1:]) for piece in named if piece[0] == USER]),
        external_recipients=tuple([_external(piece) for piece in named if piece[0] != USER]),
    )


def _external(piece: str) -> ExternalRecipient:
    language, rest = _LANGUAGES[piece[1]], piece[2:]
    if piece[0] == UNVERIFIED:
        return ExternalRecipient(address=rest, language=language)
    at = datetime.fromisoformat(rest[:_INSTANT])
    return ExternalRecipient(address=rest[_INSTANT:], language=language, verified_at=at)


def pack_users(users: Iterable[tuple[str, str | None, Language | None, bool]]) -> PackedUsers:
    """Pack users as (id, address, language, whether active); a name is in no mail."""
    pieces = {
        user_id: (_ACTIVE if active else _INACTIVE)
        + SIGN_OF_LANGUAGE[language]
        + ("" if email is None else email)
        for user_id, email, language, active in users
    }
    text = "".join([f"\1{user_id}\0{piece}" for user_id, piece in pieces.items()])
    if text.count("\0") == text.count("\1") == len(pieces):
        return text + "\1" if text else text
    return pieces


def find_users(users: PackedUsers, user_ids: Iterable[UserId]) -> dict[UserId, User]:
    """Return those of the users that are there, without their names."""
    found = ((user_id, _find(users, user_id)) for user_id in user_ids)
    return {user_id: _user(user_id, piece) for user_id, piece in found if piece is not None}


def _find(users: PackedUsers, user_id: str) -> str | None:
    if not isinstance(users, str):
        return users.get(user_id)
    mark = f"\1{user_id}\0"
    at = users.find(mark)
    if at < 0 or "\1" in user_id or "\0" in user_id:
        return None
    begin = at + len(mark)
    return users[begin : users.index("\1", begin)]


def _user(user_id: UserId, piece: str) -> User:
    return User(
        user_id=user_id,
        name="",
        email=piece[2:],
        language=_LANGUAGES[piece[1]],
        active=piece[0] == _ACTIVE,
    )
