"""A message is what its record says, whatever the record says; read by a parser not ours."""

from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailer.headers import HeaderText
from mailer.mime import mime_bytes
from rules_store.addresses import parse_address
from schemas.addresses import EmailAddress
from schemas.errors import InvalidValue
from schemas.vocabulary import EventId, MailId, RuleId, SubjectFact, TenantId
from tests.builders import (
    a_bank_account,
    a_decision,
    a_recipient,
    a_renderer,
    a_rule,
    a_status_update,
    a_tenant,
    a_wanted_rule,
    an_outgoing_mail,
)

HEADERS = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "Auto-Submitted",
    "X-Auto-Response-Suppress",
    "List-Id",
    "Feedback-ID",
    "Content-Language",
    "X-Push-Event-Id",
    "X-Push-Rule-Id",
    "MIME-Version",
    "Content-Type",
]
INJECTIONS = (
    "=?UTF-8?Q?=0AReply-To=3A_evil=40evil.example?=",
    "=?UTF-8?Q?=0D=0ABcc=3A_evil=40evil.example=0D=0A=0D=0Abody?=",
    "=?utf-8?b?DQpCY2M6IGV2aWxAZXZpbC5leGFtcGxl?=",
    "=?utf-8?q?=C2=85X=3A_y?= =?utf-8?q?=E2=80=A8Z=3A_y?=",
    "=?utf-8?B??=",
    "=?x",
    "?=",
    "\r\nBcc: evil@evil.example",
    "\nBcc: evil@evil.example",
    "\rBcc: evil@evil.example",
    "\x85Bcc: evil@evil.example",
    "\u2028Bcc: evil@evil.example",
    "a\r\n\r\nbody",
    "trailing\n",
    "\0",
    "\u202etxt.exe",
)
signs = st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp", "Cf"])
pieces = st.one_of(
    st.text(signs, max_size=90),
    st.sampled_from([text for text in INJECTIONS if text.isprintable()]),
    st.sampled_from(["😀", "ß", " ", "  ", "a" * 74, "<b>", "@,;:\\\"'()"]),
)
lines = st.lists(pieces, max_size=6).map("".join)
anything = st.one_of(st.text(), st.lists(pieces | st.sampled_from(INJECTIONS)).map("".join))
bodies = st.text(st.characters(exclude_categories=["Cs"])).map(lambda text: text.replace("\r", ""))


def parsed(raw: bytes) -> EmailMessage:
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def all_defects(message: EmailMessage) -> list[object]:
    found: list[object] = []
    for part in message.walk():
        assert isinstance(part, EmailMessage)
        found += part.defects
        for value in part.values():
            found += value.defects
    return found


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    content = part.get_content()
    assert isinstance(content, str)
    return content.replace("\r\n", "\n")


# Would catch: characters cut in two between encoded words, a lost blank, text taken for a word.
@given(lines)
@example("😀" * 100)
@example("x" * 2000)
@example("ä" + "x" * 2000)
@example(("a" * 66 + " ") * 4)
@example("")
@example(" ")
@example("a" * 69)
@example("a" * 70)
@example("=?utf-8?B?w6Q=?= =?utf-8?B?w6Q=?=")
def test_a_subject_is_read_back_as_it_was(subject: str) -> None:
    message = parsed(mime_bytes(an_outgoing_mail(subject=subject)))

    assert str(message["Subject"]) == subject
    assert all_defects(message) == []


# Would catch: a name that ends its phrase (comma, angle, quote) and makes a second mailbox.
@given(lines.filter(str.strip))
@example('Bank, <evil@evil.example> "x"')
@example("ä" * 300)
@example("a" * 300)
def test_a_senders_name_is_read_back_as_it_was(name: str) -> None:
    raw = mime_bytes(an_outgoing_mail(from_name=name))

    (address,) = parsed(raw)["From"].addresses
    assert address.addr_spec == "benachrichtigung@mail.push.example"
    phrase = message_from_bytes(raw, policy=policy.compat32)["From"].rpartition("<")[0]
    # The newer parser puts a blank between two encoded words of a name; the older one reads it.
    assert str(make_header(decode_header(phrase.removesuffix(" ").removesuffix("\r\n")))) == name
    assert parsed(raw).defects == []


# Would catch: a dot at a line's start, a long line, a bare CR, a body that ends its part.
@given(bodies, bodies)
@example("--=_boundary--\n.\n\n.", "x" * 3000)
def test_both_bodies_are_read_back_as_they_were(text: str, html: str) -> None:
    message = parsed(mime_bytes(an_outgoing_mail(text=text, html=html)))

    assert [part.get_content_type() for part in message.iter_parts()] == [
        "text/plain",
        "text/html",
    ]
    assert body(message, "plain") == text
    assert body(message, "html") == html
    assert all_defects(message) == []


# Would catch: any way out of a header, in any field that came from outside.
@given(anything, anything, anything, anything)
@example(*INJECTIONS[:4])
@example(*INJECTIONS[7:11])
def test_no_record_adds_a_header(subject: str, name: str, event_id: str, rule_id: str) -> None:
    mail = an_outgoing_mail(
        subject=subject,
        from_name=name,
        event_id=EventId(event_id),
        rule_id=RuleId(rule_id),
        tenant_id=TenantId(event_id),
    )
    try:
        raw = mime_bytes(mail)
    except InvalidValue:
        with pytest.raises(InvalidValue):
            HeaderText(subject + name)
        return

    assert set(parsed(raw).keys()) <= set(HEADERS)
    assert all(parsed(raw).get_all(name) == [parsed(raw)[name]] for name in parsed(raw))


# Would catch: an encoded word or a line longer than RFC 2047 and RFC 5322 allow; a bare CR or LF.
@given(lines, lines.filter(str.strip), lines)
def test_every_line_is_short_plain_and_ended_properly(subject: str, name: str, rule: str) -> None:
    mail = an_outgoing_mail(subject=subject, from_name=name, rule_id=RuleId(rule))

    raw = mime_bytes(mail)

    assert raw.endswith(b"\r\n")
    assert b"\r" not in raw.replace(b"\r\n", b"")
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 78
    assert all(len(word) <= 75 for word in raw.split() if word.startswith(b"=?"))


# Would catch: a clock, a counter or chance in the boundary or anywhere else.
@given(lines, bodies, st.datetimes(datetime(1970, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_the_same_mail_gives_the_same_bytes(subject: str, text: str, at: datetime) -> None:
    mail = an_outgoing_mail(subject=subject, text=text, date=at)

    assert mime_bytes(mail) == mime_bytes(an_outgoing_mail(subject=subject, text=text, date=at))
    assert parsed(mime_bytes(mail))["Date"].datetime == at.replace(microsecond=0)


# Would catch: a boundary that the mail id breaks out of, or that a body contains.
@given(st.text(), bodies)
def test_no_mail_id_breaks_the_parts_apart(mail_id: str, text: str) -> None:
    message = parsed(mime_bytes(an_outgoing_mail(mail_id=MailId(mail_id), text=text)))

    assert body(message, "plain") == text
    assert len(list(message.iter_parts())) == 2


# Would catch: a way from any text of a bank, an uploader or a tenant into the headers of its mail.
@pytest.mark.parametrize("attempt", INJECTIONS)
def test_no_text_of_an_event_or_a_rule_gets_into_the_headers(attempt: str) -> None:
    event = a_status_update(
        status=attempt,
        previous_status=attempt,
        file_name=attempt,
        message_id=attempt,
        order_id=attempt,
        reason_code=attempt,
        reason=attempt,
        additional_information=attempt,
        accounts=(a_bank_account(description=attempt),),
    )
    rule = a_rule(
        rule_id=RuleId(attempt),
        description=attempt,
        subject=attempt + "{{ tenant }} {{ rule }} {{ status }} {{ reference }}",
        subject_may_show=frozenset(SubjectFact),
    )
    wanted = a_wanted_rule(tenant=a_tenant(name=attempt), rule=rule)

    mail = a_renderer().render(event, wanted, a_recipient(), a_decision())

    message = parsed(mime_bytes(mail))
    assert set(HEADERS) - {"X-Push-Rule-Id"} <= set(message.keys()) <= set(HEADERS)
    assert len(message.keys()) == len(set(message.keys()))
    assert str(message["Subject"]) == mail.subject
    assert [to.addr_spec for to in message["To"].addresses] == [a_recipient().address.text]
    assert (body(message, "plain"), body(message, "html")) == (mail.text, mail.html)
    assert all_defects(message) == []


# Would catch: a domain in letters of its own that no header and no envelope can have.
@pytest.mark.parametrize(
    ("domain", "a_label"),
    [
        ("bücher.example", "xn--bcher-kva.example"),
        ("Straße.example", "xn--strae-oqa.example"),
        ("例え.テスト.example", "xn--r8jz45g.xn--zckzah.example"),
    ],
)
@given(local=st.from_regex(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,30}", fullmatch=True))
def test_a_domain_in_other_letters_is_read_back_as_its_a_label(
    domain: str, a_label: str, local: str
) -> None:
    address = parse_address(f" {local}@{domain} ")

    message = parsed(mime_bytes(an_outgoing_mail(recipient=address, reply_to=address)))

    for name in ("To", "Reply-To"):
        (read,) = message[name].addresses
        assert (read.username, read.domain) == (local, a_label)
    assert all_defects(message) == []


@pytest.mark.parametrize("domain", ["xn--mnchen-3ya.example", "a" * 63 + ".example"])
def test_addresses_are_read_back_as_they_were(domain: str) -> None:
    mail = an_outgoing_mail(
        recipient=EmailAddress(f"o'hara+x=y@{domain}"), reply_to=EmailAddress(f"hilfe@{domain}")
    )

    message = parsed(mime_bytes(mail))

    assert [address.addr_spec for address in message["To"].addresses] == [f"o'hara+x=y@{domain}"]
    assert [address.addr_spec for address in message["Reply-To"].addresses] == [f"hilfe@{domain}"]
