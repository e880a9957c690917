"""A rendered mail for one recipient, and what makes two mails the same.

Everything that reaches the mail's bytes is fixed here, so that every attempt to deliver it hands
over the same bytes (email.md, section 1).
"""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime

from schemas.addresses import EmailAddress
from schemas.vocabulary import (
    Audience,
    EventId,
    EventType,
    FileId,
    Generation,
    Language,
    MailId,
    RuleId,
    TenantId,
)

#: The most bytes an outgoing-mail record's value may have (256 KiB); larger ones fail to render.
LARGEST_MAIL = 256 * 1024


def mail_id(event_id: EventId, rule_id: RuleId, recipient: EmailAddress) -> MailId:
    """Return the mail's name: 32 hex digits of SHA-256 (email.md, section 1).

    Nothing else may feed it, no clock, no offset and no attempt: the same event gives the same
    name wherever and whenever it is rendered again.
    """
    identity = f"mail:1\0{event_id}\0{rule_id}\0{recipient.text}"
    return MailId(hashlib.sha256(identity.encode()).hexdigest()[:32])


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingMail:
    """One mail for one recipient, complete but for MIME. Instants are aware UTC, whole ms."""

    mail_id: MailId
    event_id: EventId
    rule_id: RuleId
    tenant_id: TenantId
    file_id: FileId | None
    event_type: EventType
    audience: Audience
    language: Language
    recipient: EmailAddress
    subject: str = field(repr=False)
    text: str = field(repr=False)
    html: str = field(repr=False)
    from_address: EmailAddress
    from_name: str | None
    reply_to: EmailAddress | None
    date: datetime
    message_id: str  #: with its angle brackets
    thread_root: str | None  #: a message id with angle brackets, the same for all mails of a file
    list_id: str | None  #: with its angle brackets
    unsubscribe_url: str | None = field(repr=False)
    unsubscribe_mailto: str | None = field(repr=False)
    expires_at: datetime
    template_revision: str
    rules_generation: Generation
    fallback: bool = False
