"""Mails handed over to a real mail server and read back from its mailbox are what was rendered."""

import email
from collections.abc import Iterator
from dataclasses import replace
from email import policy
from email.message import EmailMessage
from itertools import product

import pytest

from mailer.addressing import Envelopes, names_of
from mailer.bounce_reading import read_bounce
from mailer.bouncing import Heard, Listener
from mailer.delivery import Delivery
from mailer.memory import MemoryLedger
from mailer.mime import mime_bytes
from mailer.ports import Arrival, Claim, Start
from mailer.results import Fate, Result
from mailer.routes import Routes
from mailer.smtp import SmtpRelay
from mailer.smtp_client import MailServer, Tls
from schemas.addresses import EmailAddress
from schemas.example_events import examples_by_name
from schemas.mails import OutgoingMail
from schemas.records import Record
from schemas.vocabulary import Audience, DetailLevel, Language, MailId
from tests.builders import a_decision, a_recipient, a_renderer, a_rule, a_tenant, a_wanted_rule
from tests.real.postfix import BOUNCE_DOMAIN, BOUNCING, DOMAIN, Postfix
from tests.smtp_fake import trusting_context

SENDER = EmailAddress(f"bounce+0123456789abcdef@{BOUNCE_DOMAIN}")
#: Texts that have harmed mails before: lines of a dot, long ones, ones that look like headers.
HARMFUL = ".\r\n..\n.\nFrom nobody\nSubject: forged\n" + "ä" * 2_000 + "\n\n.\n"


def rendered() -> Iterator[OutgoingMail]:
    """Yield a mail of every example and language, and one with harmful texts."""
    renderer = a_renderer()
    for event, language in product(examples_by_name().values(), Language):
        rule = a_rule(tenant_id=event.tenant_id, detail_internal=DetailLevel.FULL)
        wanted = a_wanted_rule(tenant=a_tenant(tenant_id=event.tenant_id), rule=rule)
        reader = a_recipient(
            address=EmailAddress(f"anna@{DOMAIN}"), audience=Audience.INTERNAL, language=language
        )
        yield renderer.render(event, wanted, reader, a_decision())
    mail = renderer.render(event, wanted, reader, a_decision())
    yield replace(mail, mail_id=MailId("f" * 32), text=HARMFUL, html=HARMFUL)


def hand_over(
    postfix: Postfix, mails: list[OutgoingMail], tls: Tls, sender: EmailAddress = SENDER
) -> list[Result]:
    """Hand mails over as `deliver` does, on one kept connection."""
    server = MailServer(host=postfix.host, port=postfix.port, tls=tls, hello_name="test.example")
    delivery = Delivery(
        relays=[SmtpRelay(server=server, context=trusting_context())],
        routes=Routes(names=["postfix"], seconds=lambda: 0.0),
        start=lambda _claim: Start.GO,
        sender_of=lambda _mail: sender,
    )
    results = [delivery.deliver(claim_of(mail), mail) for mail in mails]
    delivery.close()
    return results


def claim_of(mail: OutgoingMail) -> Claim:
    return Claim(
        tenant_id=mail.tenant_id,
        mail_id=mail.mail_id,
        event_id=mail.event_id,
        rule_id=mail.rule_id,
        owner="deliver-0",
        number=1,
        attempts=0,
        in_doubt_count=0,
        was_answered=False,
        is_suppressed=False,
        claimed_at=mail.date,
        taken_in_at=mail.date,
        expires_at=mail.expires_at,
        value=b"",
    )


def without_trace(kept: bytes) -> bytes:
    """Return a mail without the trace that servers put before it (RFC 5321 4.4)."""
    lines = kept.split(b"\n")
    trace = (b"Return-Path:", b"X-Original-To:", b"Delivered-To:", b"Received:")
    while lines[0].startswith((*trace, b"\t")):
        del lines[0]
    return b"\n".join(lines)


def parsed(source: bytes) -> EmailMessage:
    return email.message_from_bytes(source, policy=policy.default)


def body(message: EmailMessage, subtype: str) -> str:
    part = message.get_body((subtype,))
    assert part is not None
    return lines_of(str(part.get_content()))


def lines_of(text: str) -> str:
    """Return the text with one way of ending lines: on the wire it is CRLF (RFC 2046 4.1.1)."""
    return text.replace("\r\n", "\n")


@pytest.mark.parametrize("tls", [Tls.NONE, Tls.STARTTLS])
def test_what_lies_in_the_mailbox_is_what_was_rendered(postfix: Postfix, tls: Tls) -> None:
    mails = {f"<{tls}.{mail.mail_id}@mail.push.example>": mail for mail in rendered()}
    sent = [replace(mail, message_id=name) for name, mail in mails.items()]

    results = hand_over(postfix, sent, tls)

    assert {result.fate for result in results} == {Fate.SENT}
    assert len(sent) > 10
    for mail in sent:
        (kept,) = postfix.wait_for(f"Message-ID: {mail.message_id}".encode())
        assert without_trace(kept) == mime_bytes(mail).replace(b"\r\n", b"\n")
        message = parsed(without_trace(kept))
        assert message.defects == []
        assert message["Subject"] == mail.subject
        assert message["To"] == mail.recipient.text
        assert message["Auto-Submitted"] == "auto-generated"
        assert (body(message, "plain"), body(message, "html")) == (
            lines_of(mail.text),
            lines_of(mail.html),
        )


def test_a_mail_comes_from_its_own_mailbox_and_carries_its_id(postfix: Postfix) -> None:
    mail = replace(next(rendered()), message_id="<its.own@mail.push.example>")

    (result,) = hand_over(postfix, [mail], Tls.NONE)

    assert (result.code, result.detail) == (250, "2.0.0")
    (kept,) = postfix.wait_for(b"<its.own@mail.push.example>")
    assert kept.startswith(f"Return-Path: <{SENDER.text}>\n".encode())


def test_whom_it_does_not_know_a_real_server_refuses_for_good(postfix: Postfix) -> None:
    mail = replace(next(rendered()), recipient=EmailAddress("anna@elsewhere.example"))

    (result,) = hand_over(postfix, [mail], Tls.NONE)

    assert (result.fate, result.code, result.detail) == (Fate.POLICY_REFUSED, 554, "5.7.1")


def test_what_a_real_server_gives_back_counts_as_a_bounce(postfix: Postfix) -> None:
    key, rendered_mail = "a key of sixteen", next(rendered())
    mail = replace(rendered_mail, recipient=EmailAddress(f"bob@{BOUNCING}"))
    ledger = MemoryLedger(lambda: mail.date)
    record = Record("outgoing-mail", 0, 1, -1, None, b"bytes")
    ledger.take_in([Arrival.of(mail, record, names_of(key)(mail))])
    sender = Envelopes(key, BOUNCE_DOMAIN).sender_of(mail)

    (result,) = hand_over(postfix, [mail], Tls.NONE, sender)
    ledger.write([(claim, result) for claim in ledger.claim("deliver-0", 1)])
    (source,) = postfix.wait_for(b"Original-Envelope-Id: " + mail.mail_id.encode())
    listener = Listener(ledger=ledger, key=key, domain=BOUNCE_DOMAIN)

    assert listener.hear(read_bounce(source)) is Heard.COUNTED
    (found,) = ledger.of_tenant(mail.tenant_id)
    assert found.address_hash == names_of(key)(mail).address_hash
    assert mime_bytes(mail).splitlines()[-3] not in source  # RET=HDRS: no body comes back
