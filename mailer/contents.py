"""What one mail says, in one language: subject, text and HTML.

Every word is finished before a template runs. What comes from a tenant is foreign: one line, no
controls, cut; templates escape it. Each mail shows the `minimal` facts of email.md, section 7.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self, TypedDict

from mailer.jinja import Templates, compile_templates
from mailer.labels import Labels, StatusLabels, Tone
from mailer.wording import day_as_read, in_zone, instant_as_read
from schemas.errors import InvalidValue
from schemas.events import PaymentEvent, PaymentStatusUpdated
from schemas.fields import is_uuid
from schemas.rules import WantedRule
from schemas.subjects import Subject, one_line
from schemas.vocabulary import EventType, PaymentStatus, SubjectFact

_LONGEST_DESCRIPTION = 200  # characters of foreign text; the mail shows by "…" that it was cut
_LONGEST_TENANT_NAME = 120
_LONGEST_STATUS = 60
_COLUMNS = 76


class Words(TypedDict):
    """All that templates are given; where something is missing, it is empty."""

    language: str
    platform: str
    heading: str
    event: str
    call: str
    tone: str
    meaning: str
    warning: str
    what_to_do: str
    preview: str
    facts: tuple[tuple[str, str], ...]
    tenant: str
    rule: str
    portal_link: str
    answers: str


@dataclass(frozen=True, slots=True)
class Content:
    """A mail's words, the same for all recipients of a rule who read one language."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Writes mails in one language."""

    labels: Labels
    templates: Templates
    platform: str
    portal_url: str | None
    answers: str  #: whether the sender reads answers, in words

    @classmethod
    def build(
        cls,
        labels: Labels,
        sources: Mapping[str, str],
        *,
        platform: str,
        portal_url: str | None,
        answers: str,
    ) -> Self:
        """Compile the templates, or raise `InvalidSettings` with every fault."""
        return cls(
            labels=labels,
            templates=compile_templates(sources, labels.texts, _TRIAL),
            platform=one_line(platform),
            portal_url=portal_url,
            answers=answers,
        )

    def content(self, event: PaymentEvent, wanted: WantedRule) -> Content:
        """Return what a mail about the event says, or raise `RenderFailed`."""
        event_type = event.routing.event_type
        words = self._words(event, event_type, wanted)
        text = self.templates.fill_in(f"{event_type}.txt", words)
        html = self.templates.fill_in(f"{event_type}.html", words)
        return Content(self._subject(event, event_type, wanted), _wrapped(text), html)

    def _words(self, event: PaymentEvent, event_type: EventType, wanted: WantedRule) -> Words:
        labels, status = self.labels, self._status(event)
        event_label = labels.events[event_type].label
        tenant, rule = _tenant_name(wanted), _description(wanted)
        is_update = isinstance(event, PaymentStatusUpdated)
        return Words(
            language=labels.language,
            platform=self.platform,
            heading=self._status_label(event) if is_update else event_label,
            event=event_label,
            call=status.call,
            tone=status.tone,
            meaning=status.meaning,
            warning=status.warning,
            what_to_do=status.what_to_do,
            preview=status.preview,
            facts=(
                (labels.facts["time"], self._time(event, wanted)),
                (labels.facts["tenant"], tenant),
                (labels.facts["rule"], rule),
            ),
            tenant=tenant,
            rule=rule,
            portal_link=self._portal_link(event),
            answers=self.answers,
        )

    def _subject(self, event: PaymentEvent, event_type: EventType, wanted: WantedRule) -> str:
        """Return the rule's subject; one that is empty or cannot be read costs no mail (R33)."""
        words = self._subject_words(event, event_type, wanted)
        try:
            subject = Subject.parse(wanted.rule.subject, wanted.rule.subject_may_show)
        except InvalidValue:
            return self.labels.events[event_type].subject.fill_in(words)
        return subject.fill_in(words) or self.labels.events[event_type].subject.fill_in(words)

    def _subject_words(
        self, event: PaymentEvent, event_type: EventType, wanted: WantedRule
    ) -> dict[str, str]:
        day = in_zone(event.occurred_at, wanted.tenant.time_zone)
        return {
            "tenant": _tenant_name(wanted),
            "event": self.labels.events[event_type].label,
            "status": self._status_label(event),
            "rule": _description(wanted),
            "date": day_as_read(day, self.labels.language),
            **dict.fromkeys(SubjectFact, ""),  # at `minimal` neither amount nor reference shows
        }

    def _status(self, event: PaymentEvent) -> StatusLabels:
        return self.labels.status(_status_code(event))

    def _status_label(self, event: PaymentEvent) -> str:
        return self._status(event).label or _cut(_status_code(event), _LONGEST_STATUS)

    def _time(self, event: PaymentEvent, wanted: WantedRule) -> str:
        at = in_zone(event.occurred_at, wanted.tenant.time_zone)
        return instant_as_read(at, self.labels.language)

    def _portal_link(self, event: PaymentEvent) -> str:
        """Return the file's page, or nothing; a file id that is no UUID costs the link (R34)."""
        if self.portal_url is None or event.file_id is None or not is_uuid(event.file_id):
            return ""
        return f"{self.portal_url.rstrip('/')}/{event.file_id}"


def _status_code(event: PaymentEvent) -> str:
    """Return the status a mail speaks of: a file the platform refused is KON_REJECTED (R33)."""
    if isinstance(event, PaymentStatusUpdated):
        return event.status
    return PaymentStatus.KON_REJECTED


def _tenant_name(wanted: WantedRule) -> str:
    return _cut(wanted.tenant.name, _LONGEST_TENANT_NAME)


def _description(wanted: WantedRule) -> str:
    return _cut(wanted.rule.description, _LONGEST_DESCRIPTION)


def _cut(text: str, most: int) -> str:
    """Return foreign text as one harmless line of at most so many characters."""
    line = one_line(text)
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def _wrapped(text: str) -> str:
    """Return plain text in 76 columns; a word that is longer, like a link, stays whole."""
    return "\n".join(
        line if len(line) <= _COLUMNS else _filled(line.split()) for line in text.split("\n")
    )


def _filled(words: list[str]) -> str:
    """Return words in lines as full as may be; textwrap takes twenty times as long."""
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + 1 + len(word) <= _COLUMNS:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return "\n".join(lines)


_TRIAL = Words(
    language="-",
    platform="-",
    heading="-",
    event="-",
    call="-",
    tone=Tone.UNCLEAR,
    meaning="-",
    warning="-",
    what_to_do="-",
    preview="-",
    facts=(("-", "-"),),
    tenant="-",
    rule="-",
    portal_link="-",
    answers="-",
)
