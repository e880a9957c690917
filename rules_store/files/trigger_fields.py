"""What a rules file says about what a rule waits for."""

from rules_store.files.fields import Field
from rules_store.files.nodes import Listing, Node, Scalar
from rules_store.files.references import Known, read_references
from rules_store.presets import PRESETS, Preset
from schemas.rules import AllAccounts, ChosenAccounts, OnFileRejected, OnStatusUpdated, Trigger
from schemas.vocabulary import TICKABLE, AccountId, EventType, PaymentStatus

STATUSES = tuple(status.value for status in TICKABLE)
EVENTS = tuple(event.value for event in EventType)
TRIGGER_KEYS = ("statuses", "preset", "bank_accounts")

Fields = dict[str, Field]


def named_preset(part: Field) -> Preset | None:
    """Return the preset that a rule names, if there is one of that name; faults come later."""
    return PRESETS.get(part.word_at("preset"))


def read_trigger(
    part: Field, fields: Fields, known: Known, stays: frozenset[str]
) -> Trigger | None:
    """Return what a rule waits for; `stays` are references that may lead nowhere."""
    event = _event(part, fields)
    if event is EventType.PAYMENT_FILE_REJECTED:
        for name in fields.keys() & set(TRIGGER_KEYS):
            if name != "preset" or not _is_for(fields[name], event):
                fields[name].note(f"a rule for {event} has none; it is not stored")
        return OnFileRejected()
    ticked = _ticked(part, fields) if event else None
    accounts = _accounts(fields.get("bank_accounts"), known, stays)
    if event and "bank_accounts" not in fields:
        part.fault('missing key "bank_accounts": all, or a list of ids')
    if ticked is None or accounts is None:
        return None
    return OnStatusUpdated(ticked, accounts)


def _event(part: Field, fields: Fields) -> EventType | None:
    preset = named_preset(part)
    if "event" not in fields:
        return preset.event_type if preset else None
    word = fields["event"].word("event", EVENTS)
    return None if word is None else EventType(word)


def _is_for(preset: Field, event: EventType) -> bool:
    node = preset.node
    found = PRESETS.get(node.text) if isinstance(node, Scalar) else None
    return found is not None and found.event_type is event


def _ticked(part: Field, fields: Fields) -> frozenset[PaymentStatus] | None:
    listed, preset = fields.get("statuses"), fields.get("preset")
    if (listed is None) == (preset is None):
        part.fault("needs statuses or preset, exactly one of the two")
    ticked = {
        PaymentStatus(status)
        for field in (listed.some_parts() or () if listed else ())
        if (status := _status(field))
    }
    return frozenset(ticked) | (_preset_statuses(preset) if preset else frozenset())


def _preset_statuses(field: Field) -> frozenset[PaymentStatus]:
    preset = PRESETS.get(field.word("preset", tuple(PRESETS)) or "")
    if preset is None:
        return frozenset()
    if preset.event_type is not EventType.PAYMENT_STATUS_UPDATED:
        field.fault(f"this preset is for the event {preset.event_type}, which has no statuses")
    return preset.statuses


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
    if "all" not in known.bank_accounts and _has_all(field.node):
        field.fault("all stands alone, without brackets and without ids: bank_accounts: all")
        return None
    ids = read_references(field, "bank account", known.bank_accounts, known, stays)
    return ChosenAccounts(frozenset(map(AccountId, ids)))


def _has_all(node: Node) -> bool:
    parts = node.parts if isinstance(node, Listing) else ()
    return any(isinstance(part, Scalar) and part.text == "all" for part in parts)
