"""What a rules file says about rules."""

import hashlib
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from rules_store.addresses import split_addresses
from rules_store.files.fields import NOT_SHOWN, Field, close_to, hint, may_be_private, quoted
from rules_store.files.nodes import Scalar, Table
from rules_store.files.tenant_fields import read_address, read_language
from schemas.errors import InvalidValue
from schemas.rules import (
    AllAccounts,
    ChosenAccounts,
    ExternalRecipient,
    OnFileRejected,
    OnStatusUpdated,
    Rule,
    Trigger,
)
from schemas.subjects import Subject
from schemas.vocabulary import (
    STATUS_PRESETS,
    TICKABLE,
    AccountId,
    Audience,
    DetailLevel,
    EventType,
    PaymentStatus,
    RuleId,
    SubjectFact,
    TenantId,
    UserId,
)

STATUSES = tuple(status.value for status in TICKABLE)
EVENTS = tuple(event.value for event in EventType)
LEVELS = tuple(level.value for level in DetailLevel)
FACTS = tuple(fact.value for fact in SubjectFact)
TRIGGER_KEYS = ("statuses", "preset", "bank_accounts")
OTHER_KEYS = (
    "id",
    "detail",
    "subject_may_show",
    "enabled",
    "subject",
    "internal_recipients",
    "external_recipients",
)
_LISTED = 10  # ids that a fault lists as allowed

#: Users and accounts that stored rules name although they are gone: the reference may stay.
Dangling = Mapping[tuple[TenantId, RuleId], frozenset[str]]
Fields = dict[str, Field]


@dataclass(frozen=True, slots=True)
class Known:
    """What a tenant's rules may name. `names` are words of its users' names, never quoted."""

    tenant_id: TenantId
    users: Collection[str]
    bank_accounts: Collection[str]
    names: Collection[str]
    dangling: Dangling


def default_rule_id(description: str) -> RuleId:
    """Return the id of a rule that a file gives none: the same wherever it is read."""
    normal = unicodedata.normalize("NFC", description)
    return RuleId("r-" + hashlib.sha256(normal.encode()).hexdigest()[:12])


def read_rule(part: Field, known: Known) -> Rule | None:
    """Return a rule of the tenant, or None if it has a fault."""
    fields = part.keys(("description", "event"), (*OTHER_KEYS, *TRIGGER_KEYS))
    description = fields["description"].line_of_text() if "description" in fields else None
    rule_id = _rule_id(fields.get("id"), description)
    stays = known.dangling.get((known.tenant_id, rule_id or RuleId("")), frozenset())
    trigger = _trigger(part, fields, known, stays)
    may_show = _may_show(fields.get("subject_may_show"))
    subject = _subject(fields.get("subject"), may_show)
    internal_detail, external_detail = _details(fields.get("detail"))
    enabled = fields["enabled"].flag() if "enabled" in fields else True
    users = _references(fields.get("internal_recipients"), "user", known.users, known, stays)
    externals = _externals(fields.get("external_recipients"))
    if not {"internal_recipients", "external_recipients"} & fields.keys():
        part.fault("needs internal_recipients or external_recipients")
    if description is None or rule_id is None or trigger is None or enabled is None:
        return None
    return Rule(
        tenant_id=known.tenant_id,
        rule_id=rule_id,
        description=description,
        trigger=trigger,
        subject=subject,
        subject_may_show=may_show or frozenset(),
        detail_internal=internal_detail,
        detail_external=external_detail,
        enabled=enabled,
        internal_recipients=tuple(map(UserId, users)),
        external_recipients=externals,
    )


def _rule_id(field: Field | None, description: str | None) -> RuleId | None:
    if field is None:
        return None if description is None else default_rule_id(description)
    identity = field.identity()
    return None if identity is None else RuleId(identity)


def _trigger(part: Field, fields: Fields, known: Known, stays: frozenset[str]) -> Trigger | None:
    event = fields["event"].word("event", EVENTS) if "event" in fields else None
    if event == EventType.PAYMENT_FILE_REJECTED:
        for name in fields.keys() & set(TRIGGER_KEYS):
            fields[name].note(f"a rule for {event} has none; it is not stored")
        return OnFileRejected()
    ticked = _ticked(part, fields) if event else None
    accounts = _accounts(fields.get("bank_accounts"), known, stays)
    if event and "bank_accounts" not in fields:
        part.fault('missing key "bank_accounts": all, or a list of ids')
    if ticked is None or accounts is None:
        return None
    return OnStatusUpdated(ticked, accounts)


def _ticked(part: Field, fields: Fields) -> frozenset[PaymentStatus] | None:
    listed, preset = fields.get("statuses"), fields.get("preset")
    if (listed is None) == (preset is None):
        part.fault("needs statuses or preset, exactly one of the two")
    ticked = {
        PaymentStatus(status)
        for field in (listed.some_parts() or () if listed else ())
        if (status := _status(field))
    }
    name = preset.word("preset", tuple(STATUS_PRESETS)) if preset else None
    return frozenset(ticked) | STATUS_PRESETS.get(name or "", frozenset())


def _status(field: Field) -> str | None:
    node = field.node
    if isinstance(node, Scalar) and node.text == PaymentStatus.KON_REJECTED:
        event = EventType.PAYMENT_FILE_REJECTED
        allowed = ", ".join(STATUSES)
        field.fault(f'"{node.text}" cannot be ticked, it is the event {event}; allowed: {allowed}')
        return None
    return field.word("status", STATUSES)


def _accounts(
    field: Field | None, known: Known, stays: frozenset[str]
) -> AllAccounts | ChosenAccounts | None:
    if field is None:
        return None
    if isinstance(field.node, Scalar):
        if field.node.text == "all":
            return AllAccounts()
        field.fault("must be all, or a list of ids of the tenant's bank accounts")
        return None
    ids = _references(field, "bank account", known.bank_accounts, known, stays)
    return ChosenAccounts(frozenset(map(AccountId, ids)))


def _references(
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
        if identity in stays:
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


def _may_show(field: Field | None) -> frozenset[SubjectFact] | None:
    """Return the facts that a subject may show; None if they cannot be read."""
    if field is None:
        return frozenset()
    parts = field.parts()
    words = [part.word("fact", FACTS) for part in parts or ()]
    if parts is None or None in words:
        return None
    return frozenset(SubjectFact(word) for word in words if word)


def _subject(field: Field | None, may_show: frozenset[SubjectFact] | None) -> str:
    text = field.text() if field else None
    if field is None or text is None:
        return ""
    try:
        Subject.parse(text, frozenset(SubjectFact) if may_show is None else may_show)
    except InvalidValue as error:
        what = str(error)
        field.fault(f"unknown placeholder {NOT_SHOWN}" if may_be_private(what) else what)
    return text


def _details(field: Field | None) -> tuple[DetailLevel, DetailLevel]:
    """Return the levels for internal and for external recipients (R30)."""
    audiences = tuple(audience.value for audience in Audience)
    fields = field.keys((), audiences) if field else {}
    internal = _level(fields.get(Audience.INTERNAL)) or DetailLevel.STANDARD
    external = _level(fields.get(Audience.EXTERNAL)) or DetailLevel.MINIMAL
    if external is DetailLevel.FULL:
        fields[Audience.EXTERNAL].note("full is for internal recipients only; lowered to standard")
        external = DetailLevel.STANDARD
    return internal, external


def _level(field: Field | None) -> DetailLevel | None:
    word = field.word("detail level", LEVELS) if field else None
    return None if word is None else DetailLevel(word)


def _externals(field: Field | None) -> tuple[ExternalRecipient, ...]:
    """Return the external recipients, each address once: the first wins, in its language (R23)."""
    found: dict[str, ExternalRecipient] = {}
    for part in (field.some_parts() or ()) if field else ():
        is_bare = not isinstance(part.node, Table)
        fields = {"email": part} if is_bare else part.keys(("email",), ("language",))
        language = read_language(fields.get("language"))
        for address in _addresses(fields["email"]) if "email" in fields else ():
            found.setdefault(address, ExternalRecipient(address=address, language=language))
    return tuple(found.values())


def _addresses(field: Field) -> tuple[str, ...]:
    """Return the addresses of a field; the old form had lists with semicolons (R24)."""
    if not isinstance(field.node, Scalar) or len(split_addresses(field.node.text)) < 2:
        address = read_address(field)
        return () if address is None else (address,)
    texts = split_addresses(field.node.text)
    parts = [field.instead(text) for text in texts]
    return tuple(address for part in parts if (address := read_address(part)) is not None)
