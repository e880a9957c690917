"""One valid outgoing mail for the tests of this folder."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from schemas.addresses import EmailAddress
from schemas.mails import OutgoingMail, mail_id
from schemas.vocabulary import (
    Audience,
    EventId,
    EventType,
    FileId,
    Generation,
    Language,
    RuleId,
    TenantId,
)

EVENT_ID = EventId("edff93a5-8932-4d1e-b0d0-32e37b6464f8")
RULE_ID = RuleId("r-nicht-ausgeführt")
RECIPIENT = EmailAddress("anna@muster.example")


def a_mail(**changes: Any) -> OutgoingMail:
    mail = OutgoingMail(
        mail_id=mail_id(EVENT_ID, RULE_ID, RECIPIENT),
        event_id=EVENT_ID,
        rule_id=RULE_ID,
        tenant_id=TenantId("m-10482"),
        file_id=FileId("a6e56b59-40c4-4122-9fdc-a7c90472c44a"),
        event_type=EventType.PAYMENT_STATUS_UPDATED,
        audience=Audience.EXTERNAL,
        language=Language.DE,
        recipient=RECIPIENT,
        subject="Geheim: Bankpost",
        text="Geheimer Text",
        html="<p>Geheimer Text</p>",
        from_address=EmailAddress("push@dienst.example"),
        from_name="Zahlungsdienst",
        reply_to=EmailAddress("hilfe@dienst.example"),
        date=datetime(2026, 11, 24, 8, 30, 0, 123_000, UTC),
        message_id="<1@dienst.example>",
        thread_root="<file@dienst.example>",
        list_id="<regel@dienst.example>",
        unsubscribe_url="https://dienst.example/geheim",
        unsubscribe_mailto="mailto:geheim@dienst.example",
        expires_at=datetime(2026, 11, 27, 8, 30, tzinfo=UTC),
        template_revision="1f2e3d",
        rules_generation=Generation(7),
        fallback=True,
    )
    return replace(mail, **changes)
