"""Every word a mail says, in one language, read from `templates/wording.<language>.toml`.

Read once, at start, and strictly: a missing, unknown or misspelt entry is a fault then, not in
the middle of a mail. Labels and advice are those of domain.md, section 3.
"""

import re
import textwrap
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from schemas.errors import InvalidSettings, InvalidValue
from schemas.subjects import Subject, one_line
from schemas.vocabulary import EventType, Language, PaymentStatus

_LONGEST_PREVIEW = 100  # characters; more no client shows (email.md, section 9)

PLACEHOLDER = re.compile(r"%\((\w+)\)s")


class Tone(StrEnum):
    """The group of a status (domain.md, section 3); it colours a mail, and its words say it too."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    UNCLEAR = "unclear"


class Call(StrEnum):
    """What a status asks of the reader: the column "must act" of domain.md, section 3."""

    NONE = "none"
    ACT = "act"
    WAIT = "wait"
    SIGN = "sign"
    CHECK = "check"


#: Tone and call of each status.
GRAVITY: Mapping[PaymentStatus, tuple[Tone, Call]] = {
    PaymentStatus.KON_ACCEPTED_AND_QUEUED: (Tone.POSITIVE, Call.NONE),
    PaymentStatus.KON_REJECTED: (Tone.NEGATIVE, Call.ACT),
    PaymentStatus.FIN_UPLOAD_SUCCEEDED: (Tone.POSITIVE, Call.NONE),
    PaymentStatus.FIN_UPLOAD_FAILED: (Tone.NEGATIVE, Call.ACT),
    PaymentStatus.FIN_UPLOAD_UNCLEAR: (Tone.UNCLEAR, Call.WAIT),
    PaymentStatus.FIN_VEU_FORWARDED: (Tone.POSITIVE, Call.SIGN),
    PaymentStatus.FIN_VEU_CANCELED: (Tone.NEGATIVE, Call.CHECK),
    PaymentStatus.FIN_ACCEPTED: (Tone.POSITIVE, Call.NONE),
    PaymentStatus.FIN_PARTIALLY_ACCEPTED: (Tone.NEGATIVE, Call.ACT),
    PaymentStatus.FIN_CONFIRMED: (Tone.POSITIVE, Call.NONE),
    PaymentStatus.FIN_REJECTED: (Tone.NEGATIVE, Call.ACT),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusLabels:
    """What a mail says about a status. `warning`, where there is one, stands before the advice."""

    label: str
    meaning: str
    warning: str
    what_to_do: str
    tone: Tone
    call: str
    preview: str  #: what a list of mails shows behind the subject


@dataclass(frozen=True, slots=True)
class EventLabels:
    """What a mail says about an event type; `subject` is for rules without a usable one."""

    label: str
    subject: Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """All words of one language. `texts` are those that templates ask for by name."""

    language: Language
    events: Mapping[EventType, EventLabels]
    statuses: Mapping[str, StatusLabels]
    unknown: StatusLabels  #: of a status this version does not know; its label is the code
    facts: Mapping[str, str]
    texts: Mapping[str, str]
    answers: Mapping[str, str]

    def status(self, code: str) -> StatusLabels:
        """Return what is said about a status, also about an unknown one."""
        return self.statuses.get(code, self.unknown)


def read_labels(language: Language, document: str, platform: str) -> Labels:
    """Read one language's wording, or raise `InvalidSettings` with every fault.

    `platform` is what mails call the payment platform.
    """
    try:
        entries = dict(_flat(tomllib.loads(document)))
    except tomllib.TOMLDecodeError as error:
        raise InvalidSettings([f"wording.{language}.toml: {error}"]) from error
    faults = [f"wording.{language}.toml: {fault}" for fault in _faults(entries)]
    if faults:
        raise InvalidSettings(faults)
    name = one_line(platform)
    return _labels(
        language,
        {key: text.replace("%(platform)s", name) for key, text in entries.items()},
    )


def _flat(table: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value if isinstance(value, str) else ""


_REQUIRED = frozenset(
    {
        *(
            f"events.{event_type}.{name}"
            for event_type in EventType
            for name in ("label", "subject")
        ),
        *(
            f"statuses.{status}.{name}"
            for status in PaymentStatus
            for name in ("label", "meaning", "what_to_do")
        ),
        "unknown_status.meaning",
        "unknown_status.what_to_do",
        *(f"calls.{call}" for call in Call),
        *(f"facts.{fact}" for fact in ("time", "tenant", "rule")),
        "answers.no_reply",
        "answers.reply_to",
    }
)
_OPTIONAL = frozenset(f"statuses.{status}.warning" for status in PaymentStatus)


def _faults(entries: Mapping[str, str]) -> Iterator[str]:
    named = {key for key in entries if not key.startswith("texts.")}
    yield from (f"{key}: missing" for key in sorted(_REQUIRED - named))
    yield from (f"{key}: no such entry" for key in sorted(named - _REQUIRED - _OPTIONAL))
    for key, text in entries.items():
        if not text.strip():
            yield f"{key}: is no text, or empty"
        words = set(PLACEHOLDER.findall(text)) - {"platform"}
        if words and not key.startswith("texts."):
            yield f"{key}: only %(platform)s can be filled in here"
        if key.startswith("events.") and key.endswith(".subject"):
            yield from _faults_of_subject(key, text)


def _faults_of_subject(key: str, text: str) -> Iterator[str]:
    try:
        Subject.parse(text, frozenset())
    except InvalidValue as error:
        yield f"{key}: {error}"


def _labels(language: Language, entries: Mapping[str, str]) -> Labels:
    return Labels(
        language=language,
        events={
            event_type: EventLabels(
                entries[f"events.{event_type}.label"],
                Subject.parse(entries[f"events.{event_type}.subject"], frozenset()),
            )
            for event_type in EventType
        },
        statuses={
            status.value: _status_labels(entries, f"statuses.{status}", tone, call)
            for status, (tone, call) in GRAVITY.items()
        },
        unknown=_status_labels(entries, "unknown_status", Tone.UNCLEAR, Call.CHECK),
        facts=_under("facts", entries),
        texts=_under("texts", entries),
        answers=_under("answers", entries),
    )


def _status_labels(entries: Mapping[str, str], table: str, tone: Tone, call: Call) -> StatusLabels:
    meaning, what_to_do = entries[f"{table}.meaning"], entries[f"{table}.what_to_do"]
    warning = entries.get(f"{table}.warning", "")
    return StatusLabels(
        label=entries.get(f"{table}.label", ""),
        meaning=meaning,
        warning=warning,
        what_to_do=what_to_do,
        tone=tone,
        call=entries[f"calls.{call}"],
        preview=textwrap.shorten(
            f"{meaning} {warning} {what_to_do}", _LONGEST_PREVIEW, placeholder=" …"
        ),
    )


def _under(table: str, entries: Mapping[str, str]) -> dict[str, str]:
    prefix = f"{table}."
    return {k.removeprefix(prefix): text for k, text in entries.items() if k.startswith(prefix)}
