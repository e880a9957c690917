"""From (event, rule, recipient, decision) to an outgoing mail; pure, and the same at every call.

Everything that will reach the mail's bytes is fixed here (email.md, section 1).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from importlib import resources
from typing import Self

from mailer.contents import Author, Content
from mailer.labels import read_labels
from mailer.unsubscribing import NO_WAY_OUT, Unsubscribing, WaysOut
from schemas.addresses import EmailAddress
from schemas.errors import InvalidSettings, RenderFailed
from schemas.events import PaymentEvent
from schemas.mails import OutgoingMail, mail_id
from schemas.plans import Decision
from schemas.rules import Recipient, WantedRule
from schemas.vocabulary import EventType, Language, RuleId, TenantId

_HASH_SIGNS = 32  # hex digits: 128 bits


@dataclass(frozen=True, slots=True)
class _Written:
    event: PaymentEvent
    wanted: WantedRule
    content: Content


@dataclass(frozen=True, slots=True, kw_only=True)
class Renderer:
    """Makes outgoing mails. Built once; everything is compiled and checked by then.

    Recipients of one rule who read one language get the same words, and a planner asks for them
    one after another: the last words of each language are kept, found again by the very same event
    and rule objects. That saves work and changes no answer, in any order of calls or threads.
    """

    sender_name: str | None
    sender_address: EmailAddress
    reply_to: EmailAddress | None
    expires_after: timedelta
    template_revision: str
    authors: Mapping[Language, Author]
    unsubscribing: Unsubscribing | None = None
    _last: dict[Language, _Written] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def build(
        cls,
        *,
        sender_name: str | None,
        sender_address: EmailAddress,
        platform: str,
        portal_url: str | None,
        expires_after: timedelta,
        reply_to: EmailAddress | None = None,
        unsubscribing: Unsubscribing | None = None,
        sources: Mapping[str, str] | None = None,
    ) -> Self:
        """Read the wording and compile the templates, or raise `InvalidSettings` with all faults.

        `platform` is what mails call the payment platform; mails link to `portal_url` and the
        file's id below it. `sources` are the files of the templates folder by name.
        """
        files = template_files() if sources is None else sources
        return cls(
            sender_name=sender_name,
            sender_address=sender_address,
            reply_to=reply_to,
            expires_after=expires_after,
            template_revision=_revision(files),
            authors=_authors(files, platform, portal_url, reply_to),
            unsubscribing=unsubscribing,
        )

    def render(
        self, event: PaymentEvent, wanted: WantedRule, recipient: Recipient, decision: Decision
    ) -> OutgoingMail:
        """Return the mail that a wanted rule sends one recipient, or raise `RenderFailed`."""
        content = self._content(event, wanted, recipient.language)
        try:
            return self._mail(content, event, wanted, recipient, decision)
        except UnicodeEncodeError as error:  # a hash needs bytes
            raise RenderFailed(f"ids: {type(error).__name__}") from None

    def _content(self, event: PaymentEvent, wanted: WantedRule, language: Language) -> Content:
        last = self._last.get(language)
        if last is not None and last.event is event and last.wanted is wanted:
            return last.content
        content = self.authors[language].content(event, wanted)
        self._last[language] = _Written(event, wanted, content)
        return content

    def _mail(
        self,
        content: Content,
        event: PaymentEvent,
        wanted: WantedRule,
        recipient: Recipient,
        decision: Decision,
    ) -> OutgoingMail:
        rule, domain = wanted.rule, self.sender_address.domain
        name = mail_id(event.event_id, rule.rule_id, recipient.address)
        file_id = event.file_id or None
        ways_out = self._ways_out(wanted, recipient)
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
            text=content.text,
            html=content.html,
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
        )

    def _ways_out(self, wanted: WantedRule, recipient: Recipient) -> WaysOut:
        if self.unsubscribing is None:
            return NO_WAY_OUT
        return self.unsubscribing.ways_out(wanted.rule, recipient)


def template_files() -> dict[str, str]:
    """Return the packaged templates and wording, text by file name."""
    folder = resources.files("mailer") / "templates"
    return {
        file.name: file.read_text("utf-8")
        for file in folder.iterdir()
        if file.name.endswith((".html", ".txt", ".toml"))
    }


def _authors(
    files: Mapping[str, str],
    platform: str,
    portal_url: str | None,
    reply_to: EmailAddress | None,
) -> dict[Language, Author]:
    templates = {name: text for name, text in files.items() if not name.endswith(".toml")}
    authors: dict[Language, Author] = {}
    wanted = {f"{event_type}.{form}" for event_type in EventType for form in ("html", "txt")}
    faults = [f"mail template {name}: missing" for name in sorted(wanted - templates.keys())]
    for language in Language:
        try:
            labels = read_labels(language, files.get(f"wording.{language}.toml", ""), platform)
            authors[language] = Author.build(
                labels,
                templates,
                platform=platform,
                portal_url=portal_url,
                answers=labels.answers["no_reply" if reply_to is None else "reply_to"],
            )
        except InvalidSettings as error:
            faults += error.faults
    if faults:
        raise InvalidSettings(faults)
    return authors


def _list_name(tenant_id: TenantId, rule_id: RuleId) -> str:
    """Return what readers filter a rule's mails by, and behind the dot all of the tenant's.

    Shorter than a mail's name: two tenants who met would share a filter, nothing else.
    """
    return f"{_hash(tenant_id, rule_id)[:16]}.{_hash(tenant_id)[:16]}"


def _hash(*names: str) -> str:
    """Return a name without anybody's data in it; NUL keeps ("a", "bc") from ("ab", "c")."""
    return hashlib.sha256("\0".join(names).encode()).hexdigest()[:_HASH_SIGNS]


def _revision(files: Mapping[str, str]) -> str:
    """Return a short name for what templates and wording say, whoever changed them."""
    told = hashlib.sha256()
    for name in sorted(files):
        told.update(f"{name}\0{files[name]}\0".encode())
    return told.hexdigest()[:12]
