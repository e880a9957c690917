import re
from email import message_from_bytes, policy

import pytest

from mailer.headers import HeaderText, encoded_words
from mailer.mime import mime_bytes
from schemas.addresses import EmailAddress
from schemas.errors import InvalidValue
from schemas.mails import OutgoingMail
from schemas.vocabulary import EventId, RuleId, TenantId
from tests.builders import (
    a_decision,
    a_recipient,
    a_renderer,
    a_status_update,
    a_wanted_rule,
    an_outgoing_mail,
)


def head(mail: OutgoingMail) -> str:
    return mime_bytes(mail).decode("ascii").partition("\r\n\r\n")[0]


def names(mail: OutgoingMail) -> list[str]:
    return list(message_from_bytes(mime_bytes(mail), policy=policy.default).keys())


def feedback_id(mail: OutgoingMail) -> list[str]:
    return str(message_from_bytes(mime_bytes(mail), policy=policy.default)["Feedback-ID"]).split(
        ":"
    )


def test_the_headers_and_their_order_are_fixed() -> None:
    assert head(an_outgoing_mail()).split("\r\n") == [
        "From: konfipay <benachrichtigung@mail.push.example>",
        "To: anna@muster.example",
        "Subject: Von Bank abgelehnt",
        "Date: Thu, 12 Mar 2026 08:31:18 +0000",
        "Message-ID: <0123456789abcdef0123456789abcdef@mail.push.example>",
        "In-Reply-To: <p.fedcba9876543210@mail.push.example>",
        "References: <p.fedcba9876543210@mail.push.example>",
        "Auto-Submitted: auto-generated",
        "X-Auto-Response-Suppress: OOF, AutoReply, RN, NRN",
        "List-Id: <r.t.mail.push.example>",
        "Feedback-ID: payment-status-updated:ecf553f71d4b0996:push:cfbcc1bf14b0",
        "Content-Language: de",
        "X-Push-Event-Id: edff93a5-8932-4d1e-b0d0-32e37b6464f8",
        "X-Push-Rule-Id: r-rejected",
        "MIME-Version: 1.0",
        "Content-Type: multipart/alternative;",
        ' boundary="=_3eb1bd439947eb762998e566ccc2e099"',
    ]


def test_what_the_record_lacks_has_no_header() -> None:
    mail = an_outgoing_mail(thread_root=None, list_id=None, from_name=None)

    assert not {"In-Reply-To", "References", "List-Id", "Reply-To"} & set(names(mail))
    assert head(mail).startswith("From: benachrichtigung@mail.push.example\r\n")


def test_replies_go_where_the_record_says() -> None:
    mail = an_outgoing_mail(reply_to=EmailAddress("hilfe@push.example"))

    assert "\r\nReply-To: hilfe@push.example\r\n" in head(mail)


def test_one_click_goes_with_the_web_address() -> None:
    url, mailto = "https://push.example/u/" + "t" * 60, "mailto:unsub+token@push.example"

    both = head(an_outgoing_mail(unsubscribe_url=url, unsubscribe_mailto=mailto))
    mail_only = head(an_outgoing_mail(unsubscribe_mailto=mailto))

    assert f"\r\nList-Unsubscribe:\r\n <{url}>,\r\n <{mailto}>\r\n" in both
    assert "\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in both
    assert f"\r\nList-Unsubscribe: <{mailto}>\r\n" in mail_only
    assert "List-Unsubscribe-Post" not in mail_only


def test_complaints_are_counted_by_event_type_tenant_and_sender_and_name_nobody() -> None:
    mail = an_outgoing_mail(tenant_id=TenantId("m-1\r\nBcc: e@e"))
    elsewhere = an_outgoing_mail(
        tenant_id=TenantId("m-2"), from_address=EmailAddress("a@b.example")
    )

    event_type, tenant, kind, sender = feedback_id(mail)

    assert (event_type, kind) == (mail.event_type, "push")
    assert re.fullmatch("[0-9a-f]{16}", tenant)
    assert re.fullmatch("[0-9a-f]{12}", sender)
    assert {tenant, sender}.isdisjoint(feedback_id(elsewhere))


def test_a_tenant_has_one_name_in_all_headers() -> None:
    mail = a_renderer().render(a_status_update(), a_wanted_rule(), a_recipient(), a_decision())

    assert mail.list_id is not None
    assert feedback_id(mail)[1] == mail.list_id.split(".")[1]


def test_text_comes_before_html_and_both_end_their_lines_properly() -> None:
    mail = an_outgoing_mail(text="eins\nzwei\r\ndrei\rvier", html="<p>x</p>")

    parts = list(message_from_bytes(mime_bytes(mail), policy=policy.default).iter_parts())

    assert [part.get_content_type() for part in parts] == ["text/plain", "text/html"]
    assert parts[0].get_payload(decode=True) == b"eins\r\nzwei\r\ndrei\r\nvier"


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"subject": "a\r\nBcc: evil@evil.example"}, id="subject, line end"),
        pytest.param({"subject": "a\x00"}, id="subject, NUL"),
        pytest.param({"subject": "a\x85b"}, id="subject, NEL"),
        pytest.param({"subject": "a\u2028b"}, id="subject, line separator"),
        pytest.param({"subject": "a\u202eb"}, id="subject, direction"),
        pytest.param({"subject": "a\ud800"}, id="subject, half a character"),
        pytest.param({"from_name": "a\nb"}, id="name, line end"),
        pytest.param({"message_id": "<a@b>\r\nBcc: e@e"}, id="message id, line end"),
        pytest.param({"message_id": "<a@b>\n"}, id="message id, trailing line end"),
        pytest.param({"message_id": "a@b"}, id="message id, no brackets"),
        pytest.param({"message_id": "<" + "a" * 400 + "@b>"}, id="message id, endless"),
        pytest.param({"thread_root": "<a b@c>"}, id="thread, blank"),
        pytest.param({"thread_root": ""}, id="thread, empty"),
        pytest.param({"list_id": "<a>\r\nX: y"}, id="list, line end"),
        pytest.param({"list_id": "<ä.b>"}, id="list, not ASCII"),
        pytest.param({"unsubscribe_url": "http://push.example/u"}, id="unsubscribe, no TLS"),
        pytest.param({"unsubscribe_url": "https://a>, <https://b"}, id="unsubscribe, two"),
        pytest.param({"unsubscribe_url": "https://a\r\nX: y"}, id="unsubscribe, line end"),
        pytest.param({"unsubscribe_mailto": "mailto:a@b\nX: y"}, id="mailto, line end"),
        pytest.param({"unsubscribe_mailto": "javascript:x"}, id="mailto, other scheme"),
        pytest.param({"text": "\ud800"}, id="text, half a character"),
        pytest.param({"html": "\ud800"}, id="html, half a character"),
    ],
)
def test_a_hostile_record_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(InvalidValue):
        mime_bytes(an_outgoing_mail(**changes))


@pytest.mark.parametrize(
    "rule_id", ["a\r\nBcc: e@e", "r" * 201, "", "\x7f"], ids=["lines", "long", "empty", "DEL"]
)
def test_an_id_that_cannot_be_shown_is_left_out(rule_id: str) -> None:
    mail = an_outgoing_mail(rule_id=RuleId(rule_id), event_id=EventId(rule_id))

    assert not {"X-Push-Rule-Id", "X-Push-Event-Id", "Bcc"} & set(names(mail))


def test_an_id_in_other_letters_is_encoded() -> None:
    raw = mime_bytes(an_outgoing_mail(rule_id=RuleId("r-nicht ausgeführt")))

    assert message_from_bytes(raw, policy=policy.default)["X-Push-Rule-Id"] == "r-nicht ausgeführt"


def test_plain_text_that_looks_encoded_is_encoded() -> None:
    assert "\r\nSubject: =?utf-8?B?PT94Pz0=?=\r\n" in head(an_outgoing_mail(subject="=?x?="))


def test_header_text_never_shows_itself() -> None:
    assert "geheim" not in repr(HeaderText("geheim"))


def test_words_are_cut_between_characters() -> None:
    words = encoded_words("ä" * 60, len("Subject: ")).split("\r\n ")  # two bytes each: 38, 44, 38

    assert [len(word) for word in words] == [64, 72, 64]
