"""What one mail says, in one language: subject, text and HTML.

Every word is finished before a template runs. What comes from a tenant or a bank is foreign and is
made harmless first; templates escape it. How much is told goes by the level (email.md, section 7).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Self, TypedDict

from mailer.facts import Pair, amount, file_facts, reference, remarked, time_as_read
from mailer.foreign import Harmless, harmless, short
from mailer.jinja import Templates, compile_templates
from mailer.labels import Labels, StatusLabels, Tone
from mailer.reasons import bank_information, reasons, rejected_payments
from mailer.wording import in_zone, short_day_as_read
from schemas.errors import InvalidValue, RenderFailed
from schemas.events import PaymentEvent, PaymentStatusUpdated
from schemas.fields import is_uuid
from schemas.rules import WantedRule
from schemas.subjects import Subject
from schemas.vocabulary import Audience, DetailLevel, EventType, PaymentStatus, SubjectFact

_LONGEST_DESCRIPTION = 200  # characters of foreign text; the mail shows by "…" that it was cut
_LONGEST_TENANT_NAME = 120
_LONGEST_STATUS = 60
_COLUMNS = 76

#: Stands in both bodies for the one text that each reader has of their own. A sign for private use:
#: no foreign text that was made harmless holds one.
OWN_LINK = "\ue000"


class Words(TypedDict):
    """All that templates are given; where something is missing, it is empty."""

    language: str
    platform: str
    heading: str
    event: str
    call: str
    tone: str
    sentence: str
    meaning: str
    warning: str
    what_to_do: str
    preview: str
    level: str
    reasons: list[Pair]
    payments: list[Pair]
    information: list[str]
    facts: list[Pair]
    tenant: str
    rule: str
    portal_link: str
    audience: str
    rules_link: str
    own_link: str
    answers: str
    company: str


@dataclass(frozen=True, slots=True)
class Content:
    """A mail's words, the same for all recipients of a rule who are told the same."""

    subject: str
    text: str
    html: str
    default_subject: bool  #: the rule's own could not be used (R33)


@dataclass(frozen=True, slots=True)
class Telling:
    """To whom an event is told and how much; `has_way_out` says that bodies hold `OWN_LINK`."""

    level: DetailLevel
    audience: Audience
    has_way_out: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What all mails of an installation share: the platform, its pages and who answers."""

    platform: str
    portal_url: str | None = None  #: mails link to the file's id below it
    rules_url: str | None = None  #: where users look after their rules
    company: str = ""  #: the platform's company data, one line
    answered: bool = False  #: whether somebody reads replies


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Writes mails in one language."""

    labels: Labels
    templates: Templates
    house: House
    _subjects: dict[tuple[str, frozenset[SubjectFact]], Subject | None] = field(
        default_factory=dict, repr=False, compare=False
    )

    @classmethod
    def build(cls, labels: Labels, sources: Mapping[str, str], house: House) -> Self:
        """Compile the templates, or raise `InvalidSettings` with every fault."""
        templates = compile_templates(sources, labels.texts, TRIALS)
        return cls(labels=labels, templates=templates, house=house)

    def content(self, event: PaymentEvent, wanted: WantedRule, telling: Telling) -> Content:
        """Return what a mail about the event says, or raise `RenderFailed`."""
        event_type = event.routing.event_type
        try:
            words = self.words(event, event_type, wanted, telling)
            subject, is_default = self._subject(event, event_type, wanted, telling.level)
        except Exception as error:  # what nobody foresaw costs the details, and never the mail
            raise RenderFailed(f"words: {type(error).__name__}") from error
        text = self.templates.fill_in(f"{event_type}.txt", words)
        html = self.templates.fill_in(f"{event_type}.html", words)
        return Content(subject, wrapped(text), html, is_default)

    def words(
        self, event: PaymentEvent, event_type: EventType, wanted: WantedRule, telling: Telling
    ) -> Words:
        """Return everything that the templates are given, finished."""
        labels, house = self.labels, self.house
        status = labels.status(_status_code(event))
        tenant, rule = _tenant_name(wanted), _description(wanted, labels)
        event_label = labels.events[event_type].label
        is_update = isinstance(event, PaymentStatusUpdated)
        is_more = telling.level is not DetailLevel.MINIMAL
        is_full = telling.level is DetailLevel.FULL
        return Words(
            language=labels.language,
            platform=house.platform,
            heading=self._status_label(event, status) if is_update else event_label,
            event=event_label,
            call=status.call,
            tone=status.tone,
            sentence=status.sentence.replace("%(tenant)s", tenant),
            meaning=status.meaning,
            warning=status.warning,
            what_to_do=status.what_to_do,
            preview=status.preview,
            level=telling.level,
            reasons=reasons(event, labels) if is_more else [],
            payments=rejected_payments(event, labels) if is_full else [],
            information=bank_information(event, labels) if is_full else [],
            facts=[
                (labels.facts["time"], time_as_read(event.occurred_at, wanted.tenant, labels)),
                *(file_facts(event, wanted.tenant, labels) if is_more else ()),
                (labels.facts["tenant"], tenant),
                (labels.facts["rule"], rule),
            ],
            tenant=tenant,
            rule=rule,
            portal_link=self._portal_link(event),
            audience=telling.audience,
            rules_link=house.rules_url or "",
            own_link=OWN_LINK if telling.has_way_out else "",
            answers=labels.answers["reply_to" if house.answered else "no_reply"],
            company=house.company,
        )

    def _subject(
        self, event: PaymentEvent, event_type: EventType, wanted: WantedRule, level: DetailLevel
    ) -> tuple[str, bool]:
        """Return the rule's subject; one that is empty or cannot be read costs no mail (R33)."""
        subject = self._compiled(wanted.rule.subject, wanted.rule.subject_may_show)
        if subject is not None:
            line = subject.fill_in(self._subject_words(subject, event, wanted, level))
            if line:
                return line, False
        default = self.labels.events[event_type].subject
        words = self._subject_words(default, event, wanted, level)
        return default.fill_in(words), bool(wanted.rule.subject.strip())

    def _compiled(self, text: str, may_show: frozenset[SubjectFact]) -> Subject | None:
        """Return a subject cut at its placeholders, once for all its mails; None if it is bad."""
        key = (text, may_show)
        if key not in self._subjects:
            if len(self._subjects) >= _MOST_SUBJECTS:
                self._subjects.clear()
            self._subjects[key] = _parsed(text, may_show)
        return self._subjects[key]

    def _subject_words(
        self, subject: Subject, event: PaymentEvent, wanted: WantedRule, level: DetailLevel
    ) -> dict[str, str]:
        """Return what stands for the words that a subject asks for."""
        return {word: self._word(word, event, wanted, level) for word in subject.pieces[1::2]}

    def _word(self, word: str, event: PaymentEvent, wanted: WantedRule, level: DetailLevel) -> str:
        labels, shows = self.labels, level is not DetailLevel.MINIMAL
        match word:
            case "tenant":
                return _tenant_name(wanted)
            case "event":
                return labels.events[event.routing.event_type].label
            case "status":
                return self._status_label(event, labels.status(_status_code(event)))
            case "rule":
                return _description(wanted, labels)
            case "date":
                day = in_zone(event.occurred_at, wanted.tenant.time_zone)
                return short_day_as_read(day, labels.language)
            case SubjectFact.AMOUNT:
                return amount(event, labels) if shows else ""
        return reference(event, labels) if shows else ""

    def _status_label(self, event: PaymentEvent, status: StatusLabels) -> str:
        return status.label or remarked(harmless(_status_code(event), _LONGEST_STATUS), self.labels)

    def _portal_link(self, event: PaymentEvent) -> str:
        """Return the file's page, or nothing; a file id that is no UUID costs the link (R34)."""
        url, file_id = self.house.portal_url, event.file_id
        if url is None or file_id is None or not is_uuid(file_id):
            return ""
        return f"{url.rstrip('/')}/{file_id}"


_MOST_SUBJECTS = 10_000  # kept compiled; far more than one worker meets between two changes


def _parsed(text: str, may_show: frozenset[SubjectFact]) -> Subject | None:
    try:
        return Subject.parse(text, may_show)
    except InvalidValue:
        return None


def _status_code(event: PaymentEvent) -> str:
    """Return the status a mail speaks of: a file the platform refused is KON_REJECTED (R33)."""
    if isinstance(event, PaymentStatusUpdated):
        return event.status
    return PaymentStatus.KON_REJECTED


def _tenant_name(wanted: WantedRule) -> str:
    return short(wanted.tenant.name, _LONGEST_TENANT_NAME)


def _description(wanted: WantedRule, labels: Labels) -> str:
    told = _harmless_description(wanted.rule.description)
    return f"{told.text} {labels.remarks['gap']}" if told.has_gap else told.text


@lru_cache(maxsize=4096)  # a rule's description is asked for in each of its mails
def _harmless_description(text: str) -> Harmless:
    return harmless(text, _LONGEST_DESCRIPTION)


def wrapped(text: str) -> str:
    """Return plain text in 76 columns; a word that is longer, like a link, stays whole."""
    return "\n".join(
        [line if len(line) <= _COLUMNS else _filled(line) for line in text.split("\n")]
    )


@lru_cache(maxsize=1024)  # most long lines are the platform's own, and stand in mail after mail
def _filled(line: str) -> str:
    """Return a line as lines as full as may be; textwrap takes twenty times as long."""
    rest, lines = line, list[str]()
    while len(rest) > _COLUMNS:
        end = rest.rfind(" ", 0, _COLUMNS + 1)
        if end < 0:
            end = rest.find(" ", _COLUMNS)
        if end < 0:
            break
        lines.append(rest[:end])
        rest = rest[end + 1 :]
    return "\n".join([*lines, rest])


_EVERYTHING = Words(
    language="-",
    platform="-",
    heading="-",
    event="-",
    call="-",
    tone=Tone.UNCLEAR,
    sentence="-",
    meaning="-",
    warning="-",
    what_to_do="-",
    preview="-",
    level=DetailLevel.FULL,
    reasons=[("-", "-")],
    payments=[("-", "-")],
    information=["-"],
    facts=[("-", "-")],
    tenant="-",
    rule="-",
    portal_link="-",
    audience=Audience.EXTERNAL,
    rules_link="-",
    own_link="-",
    answers="-",
    company="-",
)
_LITTLE: Words = {
    **_EVERYTHING,
    "warning": "",
    "level": DetailLevel.MINIMAL,
    "reasons": [],
    "payments": [],
    "information": [],
    "portal_link": "",
    "audience": Audience.INTERNAL,
    "rules_link": "",
    "own_link": "",
    "company": "",
}
#: What each template is filled in with before the first mail: everything there is, and the least.
TRIALS: tuple[Words, ...] = (_EVERYTHING, _LITTLE)
