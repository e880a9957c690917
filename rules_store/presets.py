"""The rules that the product ships by name, and the two that every tenant begins with."""

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.vocabulary import STATUS_PRESETS, EventType, Language, PaymentStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """What a rule of this name waits for, and what it is called unless its owner says otherwise."""

    event_type: EventType
    statuses: frozenset[PaymentStatus] = frozenset()  #: none where the event has none
    descriptions: Mapping[Language, str]


#: By the word that rules files and commands use (domain.md 1.1, 1.2; the descriptions are ours).
PRESETS: Mapping[str, Preset] = {
    "not_executed": Preset(
        event_type=EventType.PAYMENT_STATUS_UPDATED,
        statuses=STATUS_PRESETS["not_executed"],
        descriptions={Language.DE: "Nicht ausgeführt", Language.EN: "Not executed"},
    ),
    "rejected_by_platform": Preset(
        event_type=EventType.PAYMENT_FILE_REJECTED,
        descriptions={
            Language.DE: "Von der Plattform abgelehnt",
            Language.EN: "Rejected by the platform",
        },
    ),
    "rejected_by_bank": Preset(
        event_type=EventType.PAYMENT_STATUS_UPDATED,
        statuses=frozenset({PaymentStatus.FIN_REJECTED}),
        descriptions={Language.DE: "Von der Bank abgelehnt", Language.EN: "Rejected by the bank"},
    ),
}

#: What the product gives every tenant: its admin hears of a rejection by either side.
DEFAULT_RULES = ("rejected_by_platform", "rejected_by_bank")
