"""A report that a mail will not come: what `outgoing-mail-undeliverable` holds."""

from dataclasses import dataclass
from datetime import datetime

from schemas.addresses import EmailAddress
from schemas.vocabulary import EventId, MailId, RuleId, TenantId


@dataclass(frozen=True, slots=True, kw_only=True)
class UndeliverableMail:
    """A mail that failed or whose recipient is suppressed. Instants are aware UTC."""

    mail_id: MailId
    event_id: EventId
    rule_id: RuleId
    tenant_id: TenantId
    recipient: EmailAddress | None
    state: str
    fate: str
    reply_code: int | None
    reply_detail: str | None
    reply_text: str | None
    attempts: int
    may_have_arrived: bool
    taken_in_at: datetime
    finished_at: datetime
