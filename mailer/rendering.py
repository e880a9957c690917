"""From (event, rule, recipient, decision) to an outgoing mail; pure, and the same at every call.

Everything that will reach the mail's bytes is fixed here (email.md, section 1). A mail that cannot
be rendered becomes its fallback, under the same name: a treasurer hears of a stuck payment even
where a template is broken (R41).
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from html import escape
from typing import Self

from mailer.contents import OWN_LINK, Author, Content, House, Telling
from mailer.facts import detail_level
from mailer.fallback import fallback_content
from mailer.labels import read_labels
from mailer.sources import Sources, packaged_sources
from mailer.unsubscribing import NO_WAY_OUT, Unsubscribing, WaysOut
from schemas.addresses import EmailAddress
from schemas.errors import InvalidSettings, RenderFailed
from schemas.events import PaymentEvent
from schemas.mails import LARGEST_MAIL, OutgoingMail, mail_id
from schemas.plans import Decision
from schemas.rules import Recipient, WantedRule
from schemas.vocabulary import EventType, Language, RuleId, TenantId

_HASH_SIGNS = 32  # hex digits: 128 bits
#: Bytes that bodies may have: the rest of a record holds ids, addresses and the subject.
_LARGEST_BODIES = LARGEST_MAIL - 16 * 1024


@dataclass(frozen=True, slots=True)
class _Written:
    event: PaymentEvent
    wanted: WantedRule
    content: Content


@dataclass(slots=True)
class Counts:
    """What went wrong with mails that came all the same, since the start."""

    default_subjects: int = 0  #: bodies whose rule has a subject that cannot be used (R33)
    fallbacks: int = 0


Failed = Callable[[PaymentEvent, WantedRule, RenderFailed], None]


def tell_nobody(event: PaymentEvent, wanted: WantedRule, error: RenderFailed) -> None:
    """Let the fallback be all that is seen of a failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Renderer:
    """Makes outgoing mails. Built once; everything is compiled and checked by then.

    Readers of one rule who are told the same get the same words, and a planner asks for them one
    after another: the last words of each kind are kept, found again by the very same event and rule
    objects. That saves work and changes no answer, in any order of calls or threads. `counts` and
    `failed` are told what went wrong, and change no answer either.
    """

    sender_name: str | None
    sender_address: EmailAddress
    reply_to: EmailAddress | None
    expires_after: timedelta
    template_revision: str
    authors: Mapping[Language, Author]
    unsubscribing: Unsubscribing | None = None
    failed: Failed = field(default=tell_nobody, repr=False, compare=False)
    counts: Counts = field(default_factory=Counts, repr=False, compare=False)
    _last: dict[tuple[Language, Telling], _Written] = field(
        default_factory=dict, repr=False, compare=False
    )

    @classmethod
    def build(
        cls,
        *,
        sender_name: str | None,
        sender_address: EmailAddress,
        house: House,
        expires_after: timedelta,
        reply_to: EmailAddress | None = None,
        unsubscribing: Unsubscribing | None = None,
        sources: Sources | None = None,
        failed: Failed = tell_nobody,
    ) -> Self:
        """Read the wording and compile the templates, or raise `InvalidSettings` with all faults.

        `sources` are those of the package, or with what the operator says otherwise. `failed` is
        told of each mail that became its fallback, and why.
        """
        files = packaged_sources() if sources is None else sources
        return cls(
            sender_name=sender_name,
            sender_address=sender_address,
            reply_to=reply_to,
            expires_after=expires_after,
            template_revision=files.revision,
            authors=_authors(files, house),
            unsubscribing=unsubscribing,
            failed=failed,
        )

    def render(
        self, event: PaymentEvent, wanted: WantedRule, recipient: Recipient, decision: Decision
    ) -> OutgoingMail:
        """Return the mail that a wanted rule sends one recipient, or the fallback of that mail.

        Raise `RenderFailed` only where the fallback cannot be made either.
        """
        ways_out = self._ways_out(wanted, recipient)
        fallback = False
        try:
            content = self.content(event, wanted, recipient)
        except RenderFailed as error:
            self.counts.fallbacks += 1
            self.failed(event, wanted, error)
            content, fallback = fallback_content(event), True
        try:
            return self._mail(content, event, wanted, recipient, decision, ways_out, fallback)
        except UnicodeEncodeError as error:  # a hash needs bytes
            raise RenderFailed(f"ids: {type(error).__name__}") from None

    def content(self, event: PaymentEvent, wanted: WantedRule, recipient: Recipient) -> Content:
        """Return what the mail says, its own link still to be put in, or raise `RenderFailed`."""
        telling = Telling(
            detail_level(event, wanted.rule, recipient.audience),
            recipient.audience,
            self._ways_out(wanted, recipient).url is not None,
        )
        last = self._last.get((recipient.language, telling))
        if last is not None and last.event is event and last.wanted is wanted:
            return last.content
        content = self.authors[recipient.language].content(event, wanted, telling)
        _refuse_too_large(content)
        self.counts.default_subjects += content.default_subject
        self._last[recipient.language, telling] = _Written(event, wanted, content)
        return content

    def _ways_out(self, wanted: WantedRule, recipient: Recipient) -> WaysOut:
        if self.unsubscribing is None:
            return NO_WAY_OUT
        return self.unsubscribing.ways_out(wanted.rule, recipient)

    def _mail(
        self,
        content: Content,
        event: PaymentEvent,
        wanted: WantedRule,
        recipient: Recipient,
        decision: Decision,
        ways_out: WaysOut,
        fallback: bool,
    ) -> OutgoingMail:
        rule, domain = wanted.rule, self.sender_address.domain
        name = mail_id(event.event_id, rule.rule_id, recipient.address)
        file_id = event.file_id or None
        text, html = content.text, content.html
        if ways_out.url is not None:
            text = text.replace(OWN_LINK, ways_out.url)
            html = html.replace(OWN_LINK, escape(ways_out.url))
        return OutgoingMail(
            mail_id=name,
            event_id=event.event_id,
            rule_id=rule.rule_id,
            tenant_id=event.tenant_id,
            file_id=event.file_id,
            event_type=event.routing.event_type,
            audience=recipient.audience,
            language=recipient.language,
            recipient=recipient.address,
            subject=content.subject,
            text=text,
            html=html,
            from_address=self.sender_address,
            from_name=self.sender_name,
            reply_to=self.reply_to,
            date=decision.at,
            message_id=f"<{name}@{domain}>",
            thread_root=file_id and f"<p.{_hash(event.tenant_id, file_id)}@{domain}>",
            list_id=f"<{_list_name(event.tenant_id, rule.rule_id)}.{domain}>",
            unsubscribe_url=ways_out.url,
            unsubscribe_mailto=ways_out.mailto,
            expires_at=decision.at + self.expires_after,
            template_revision=self.template_revision,
            rules_generation=decision.generation,
            fallback=fallback,
        )


def _refuse_too_large(content: Content) -> None:
    signs = len(content.text) + len(content.html)
    if signs * 4 > _LARGEST_BODIES:  # a sign has four bytes at most: few bodies need counting
        size = len(content.text.encode()) + len(content.html.encode())
        if size > _LARGEST_BODIES:
            raise RenderFailed(f"the bodies have {size} bytes, {_LARGEST_BODIES} are the limit")


def _authors(files: Sources, house: House) -> dict[Language, Author]:
    authors: dict[Language, Author] = {}
    templates = files.templates
    wanted = {f"{event_type}.{form}" for event_type in EventType for form in ("html", "txt")}
    faults = [f"mail template {name}: missing" for name in sorted(wanted - templates.keys())]
    for language in Language:
        try:
            labels = read_labels(
                language, files.wording(language), house.platform, files.own_wording(language)
            )
            authors[language] = Author.build(labels, templates, house)
        except InvalidSettings as error:
            faults += error.faults
    if faults:
        raise InvalidSettings(list(dict.fromkeys(faults)))  # a template fails in each language
    return authors


@lru_cache(maxsize=10_000)
def _list_name(tenant_id: TenantId, rule_id: RuleId) -> str:
    """Return what readers filter a rule's mails by, and behind the dot all of the tenant's.

    Shorter than a mail's name: two tenants who met would share a filter, nothing else.
    """
    return f"{_hash(tenant_id, rule_id)[:16]}.{_hash(tenant_id)[:16]}"


def _hash(*names: str) -> str:
    """Return a name without anybody's data in it; NUL keeps ("a", "bc") from ("ab", "c")."""
    return hashlib.sha256("\0".join(names).encode()).hexdigest()[:_HASH_SIGNS]
