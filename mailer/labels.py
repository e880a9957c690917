"""Every word a mail says, in one language, read from `templates/wording.<language>.toml`.

Read once, at start, and strictly: a missing, unknown or misspelt entry is a fault then, not in
the middle of a mail. Labels and advice are those of domain.md, section 3. An operator's own file
of that name says some of it otherwise; what it leaves out is said as ever.
"""

import re
import textwrap
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from schemas.errors import InvalidSettings, InvalidValue
from schemas.subjects import Subject, one_line
from schemas.vocabulary import EventType, Language, PaymentStatus, ReasonClass

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
    sentence: str  #: what happened, in plain words; "%(tenant)s" is left to be filled in
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
    """All words of one language. `texts` are those that templates ask for by name.

    What an entry leaves to be filled in ("%(code)s") is replaced where it is said.
    """

    language: Language
    events: Mapping[EventType, EventLabels]
    statuses: Mapping[str, StatusLabels]
    unknown: StatusLabels  #: of a status this version does not know; its label is the code
    facts: Mapping[str, str]
    origins: Mapping[str, str]  #: where a file came from, by the platform's word
    reasons: Mapping[str, str]  #: names of reasons
    advice: Mapping[ReasonClass, str]
    advice_on_part: Mapping[ReasonClass, str]  #: where only a part of a file was refused
    errors: Mapping[str, str]  #: the platform's errors, by their names
    remarks: Mapping[str, str]
    texts: Mapping[str, str]
    answers: Mapping[str, str]

    def status(self, code: str) -> StatusLabels:
        """Return what is said about a status, also about an unknown one."""
        return self.statuses.get(code, self.unknown)


def read_labels(language: Language, document: str, platform: str, own: str = "") -> Labels:
    """Read one language's wording, or raise `InvalidSettings` with every fault.

    `platform` is what mails call the payment platform, `own` what the operator says otherwise.
    """
    name = f"wording.{language}.toml"
    entries = _entries(name, document) | _entries(name, own)
    faults = [f"{name}: {fault}" for fault in _faults(entries)]
    if faults:
        raise InvalidSettings(faults)
    called = one_line(platform)
    return _labels(
        language,
        {key: text.replace("%(platform)s", called) for key, text in entries.items()},
    )


def _entries(name: str, document: str) -> dict[str, str]:
    try:
        return dict(_flat(tomllib.loads(document)))
    except tomllib.TOMLDecodeError as error:
        raise InvalidSettings([f"{name}: {error}"]) from error


def _flat(table: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value if isinstance(value, str) else ""


_FACTS = (
    *("time", "previous_status", "account", "file_name", "message_id", "order_id", "count", "sum"),
    *("execution_date", "uploaded_at", "rejected_count", "rejected_sum", "origin", "file_id"),
    *("tenant", "rule"),
)
_ADVISED = tuple(kind for kind in ReasonClass if kind is not ReasonClass.NOTHING)
_REQUIRED = frozenset(
    {
        *(f"events.{which}.{name}" for which in EventType for name in ("label", "subject")),
        *(
            f"statuses.{status}.{name}"
            for status in PaymentStatus
            for name in ("label", "sentence", "meaning", "what_to_do")
        ),
        *(f"unknown_status.{name}" for name in ("sentence", "meaning", "what_to_do")),
        *(f"calls.{call}" for call in Call),
        *(f"facts.{fact}" for fact in _FACTS),
        *(f"reasons.{name}" for name in ("code", "ebics", "error", "bank", "advice", "none")),
        *(f"advice.{kind}" for kind in _ADVISED),
        *(f"remarks.{name}" for name in ("cut", "gap", "more", "not_given", "not_given_by_bank")),
        *(f"answers.{name}" for name in ("no_reply", "reply_to")),
    }
)
_OPTIONAL = frozenset(
    {
        *(f"statuses.{status}.warning" for status in PaymentStatus),
        *(f"advice_on_part.{kind}" for kind in _ADVISED),
    }
)
#: Tables whose entries others choose the names of: templates, and the platform.
_OPEN = ("texts.", "origins.", "errors.")
_FILLED_IN = {"sentence": {"tenant"}, "reasons.error": {"code"}, "remarks.more": {"count"}}


def _faults(entries: Mapping[str, str]) -> Iterator[str]:
    named = {key for key in entries if not key.startswith(_OPEN)}
    yield from (f"{key}: missing" for key in sorted(_REQUIRED - named))
    yield from (f"{key}: no such entry" for key in sorted(named - _REQUIRED - _OPTIONAL))
    for key, text in entries.items():
        if not text.strip():
            yield f"{key}: is no text, or empty"
        if not key.startswith("texts."):
            yield from _faults_of_placeholders(key, text)
        if key.startswith("events.") and key.endswith(".subject"):
            yield from _faults_of_subject(key, text)


def _faults_of_placeholders(key: str, text: str) -> Iterator[str]:
    also = _FILLED_IN.get(key, _FILLED_IN.get(key.rpartition(".")[2], set()))
    allowed = sorted({"platform", *also})
    if not set(PLACEHOLDER.findall(text)) <= set(allowed):
        yield f"{key}: only {' and '.join(f'%({word})s' for word in allowed)} can be filled in here"


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
        origins=_under("origins", entries),
        reasons=_under("reasons", entries),
        advice=_advice("advice", entries),
        advice_on_part=_advice("advice_on_part", entries),
        errors=_under("errors", entries),
        remarks=_under("remarks", entries),
        texts=_under("texts", entries),
        answers=_under("answers", entries),
    )


def _status_labels(entries: Mapping[str, str], table: str, tone: Tone, call: Call) -> StatusLabels:
    meaning, what_to_do = entries[f"{table}.meaning"], entries[f"{table}.what_to_do"]
    warning = entries.get(f"{table}.warning", "")
    return StatusLabels(
        label=entries.get(f"{table}.label", ""),
        sentence=entries[f"{table}.sentence"],
        meaning=meaning,
        warning=warning,
        what_to_do=what_to_do,
        tone=tone,
        call=entries[f"calls.{call}"],
        preview=_preview(f"{warning or meaning} {what_to_do}"),
    )


def _preview(text: str) -> str:
    """Return as many whole sentences as a list of mails shows."""
    first, *others = re.split(r"(?<=[.!?]) ", text)
    shown = textwrap.shorten(first, _LONGEST_PREVIEW, placeholder=" …")
    for sentence in others:
        if len(shown) + 1 + len(sentence) > _LONGEST_PREVIEW:
            break
        shown += f" {sentence}"
    return shown


def _advice(table: str, entries: Mapping[str, str]) -> dict[ReasonClass, str]:
    return {ReasonClass(kind): text for kind, text in _under(table, entries).items()}


def _under(table: str, entries: Mapping[str, str]) -> dict[str, str]:
    prefix = f"{table}."
    return {k.removeprefix(prefix): text for k, text in entries.items() if k.startswith(prefix)}
