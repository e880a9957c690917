"""What a rules file says about rules."""

import hashlib
import unicodedata

from rules_store.addresses import split_addresses
from rules_store.files.fields import NOT_SHOWN, Field, may_be_private
from rules_store.files.nodes import Scalar, Table
from rules_store.files.references import Known, read_references
from rules_store.files.tenant_fields import read_address, read_language
from rules_store.files.trigger_fields import TRIGGER_KEYS, named_preset, read_trigger
from schemas.errors import InvalidValue
from schemas.rules import (
    ExternalRecipient,
    Rule,
)
from schemas.subjects import Subject
from schemas.vocabulary import (
    Audience,
    DetailLevel,
    RuleId,
    SubjectFact,
    UserId,
)

LEVELS = tuple(level.value for level in DetailLevel)
FACTS = tuple(fact.value for fact in SubjectFact)
Fields = dict[str, Field]

NEEDED_KEYS = ("description", "event")  # unless a preset stands for them
OPTIONAL_KEYS = (
    "id",
    "detail",
    "subject_may_show",
    "enabled",
    "subject",
    "internal_recipients",
    "external_recipients",
    *TRIGGER_KEYS,
)
ALL_KEYS = (*NEEDED_KEYS, *OPTIONAL_KEYS)


def default_rule_id(description: str) -> RuleId:
    """Return the id of a rule that a file gives none: the same wherever it is read."""
    normal = unicodedata.normalize("NFC", description)
    return RuleId("r-" + hashlib.sha256(normal.encode()).hexdigest()[:12])


def read_rule(part: Field, known: Known) -> Rule | None:
    """Return a rule of the tenant, or None if it has a fault."""
    preset = named_preset(part)
    fields = part.keys((), ALL_KEYS) if preset else part.keys(NEEDED_KEYS, OPTIONAL_KEYS)
    description = fields["description"].line_of_text() if "description" in fields else None
    if preset and "description" not in fields:
        description = preset.descriptions[known.language]
    rule_id = _rule_id(fields.get("id"), description)
    stays = known.dangling.get(rule_id or RuleId(""), frozenset())
    trigger = read_trigger(part, fields, known, stays)
    may_show = _may_show(fields.get("subject_may_show"))
    subject = _subject(fields.get("subject"), may_show)
    internal_detail, external_detail = _details(fields.get("detail"))
    enabled = fields["enabled"].flag() if "enabled" in fields else True
    users = read_references(fields.get("internal_recipients"), "user", known.users, known, stays)
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
