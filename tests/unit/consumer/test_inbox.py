import json
import smtplib
import socket
from collections.abc import Iterator
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from http.client import HTTPConnection, HTTPResponse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.inbox.loopback import listen
from consumer.inbox.mailbox import MOST_KEPT, Mailbox
from consumer.inbox.page import answer, as_document
from consumer.inbox.reading import read_content
from consumer.inbox.sink import Inbox

HOSTILE = (
    '<script>alert(1)</script><base target="_self"><a href="https://portal.example">Portal</a>'
)


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    started = Inbox.start()
    yield started
    started.stop()


def a_mail(text: str = "Guten Tag", html: str = "<p>Guten Tag</p>") -> bytes:
    mail = MIMEMultipart("alternative")
    mail["Subject"] = "Übertragung fehlgeschlagen"
    mail["From"] = "konfipay <push@demo.example>"
    mail["X-Push-Event-Id"] = "edff93a5-8932-4d1e-b0d0-32e37b6464f8"
    mail["X-Push-Rule-Id"] = "r-not-executed"
    mail["Content-Language"] = "de"
    mail.attach(MIMEText(text, "plain", "utf-8"))
    mail.attach(MIMEText(html, "html", "utf-8"))
    return mail.as_bytes()


def send(inbox: Inbox, recipient: str, source: bytes | None = None) -> None:
    with smtplib.SMTP("127.0.0.1", inbox.smtp_port, timeout=10) as relay:
        relay.sendmail("bounce@demo.example", [recipient], source or a_mail())


def get(inbox: Inbox, path: str, host: str | None = None) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection("127.0.0.1", inbox.http_port, timeout=10)
    connection.request("GET", path, headers={"Host": host} if host else {})
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response, body


def get_json(inbox: Inbox, path: str) -> object:
    return json.loads(get(inbox, path)[1])


def a_mailbox_with(source: bytes) -> Mailbox:
    mailbox = Mailbox()
    mailbox.put("bounce@demo.example", "anna@muster.example", source)
    return mailbox


def test_a_mail_that_is_handed_over_can_be_read_with_why_it_was_sent(inbox: Inbox) -> None:
    send(inbox, "anna@muster.example")

    (mail,) = inbox.mails()

    assert mail.recipient == "anna@muster.example"
    assert mail.content.header("Subject") == "Übertragung fehlgeschlagen"
    assert mail.content.header("x-push-rule-id") == "r-not-executed"
    assert (mail.content.text, mail.content.html) == ("Guten Tag", "<p>Guten Tag</p>")


def test_the_bytes_of_a_mail_are_kept_as_they_came_in(inbox: Inbox) -> None:
    source = b"Subject: x\r\n\r\n.a line with a dot\r\n"

    send(inbox, "anna@muster.example", source)

    assert inbox.mails()[0].source == source


def test_the_list_names_each_mail_and_later_ones_can_be_asked_for(inbox: Inbox) -> None:
    send(inbox, "anna@muster.example")
    send(inbox, "bert@muster.example")

    everything = get_json(inbox, "/api/mails")
    later = get_json(inbox, "/api/mails?after=1")

    assert isinstance(everything, list)
    assert [mail["recipient"] for mail in everything] == [
        "anna@muster.example",
        "bert@muster.example",
    ]
    assert everything[0]["event_id"] == "edff93a5-8932-4d1e-b0d0-32e37b6464f8"
    assert everything[0]["rule_id"] == "r-not-executed"
    assert everything[0]["language"] == "de"
    assert later == everything[1:]


def test_one_mail_comes_with_headers_text_html_and_source(inbox: Inbox) -> None:
    send(inbox, "anna@muster.example")

    mail = get_json(inbox, "/api/mails/1")

    assert isinstance(mail, dict)
    assert ["From", "konfipay <push@demo.example>"] in mail["headers"]
    assert (mail["text"], mail["html"]) == ("Guten Tag", "<p>Guten Tag</p>")
    assert "X-Push-Rule-Id: r-not-executed" in mail["source"]


def test_a_recipient_called_refused_has_no_mailbox(inbox: Inbox) -> None:
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refusal:
        send(inbox, "refused@muster.example")

    assert refusal.value.recipients["refused@muster.example"] == (
        550,
        b"5.1.1 no such mailbox here",
    )
    assert inbox.mails() == ()
    assert [refused.recipient for refused in inbox.refusals()] == ["refused@muster.example"]


def test_a_recipient_called_busy_is_greylisted_once(inbox: Inbox) -> None:
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refusal:
        send(inbox, "busy@muster.example")
    send(inbox, "busy@muster.example")

    assert refusal.value.recipients["busy@muster.example"][0] == 451
    assert [mail.recipient for mail in inbox.mails()] == ["busy@muster.example"]


def test_a_recipient_called_slow_gets_its_mail_all_the_same(inbox: Inbox) -> None:
    send(inbox, "slow@muster.example")

    assert [mail.recipient for mail in inbox.mails()] == ["slow@muster.example"]


@pytest.mark.parametrize(
    ("path", "content_type"),
    [("/", "text/html"), ("/inbox.css", "text/css"), ("/inbox.js", "text/javascript")],
)
def test_the_page_and_its_files_come_with_a_policy_against_anything_foreign(
    inbox: Inbox, path: str, content_type: str
) -> None:
    response, body = get(inbox, path)

    assert response.status == 200
    assert response.getheader("Content-Type") == f"{content_type}; charset=utf-8"
    assert "default-src 'none'" in str(response.getheader("Content-Security-Policy"))
    assert "unsafe-inline" not in str(response.getheader("Content-Security-Policy"))
    assert b"//" not in body.replace(b"http://www.w3.org/2000/svg", b"").replace(b"// ", b"")


def test_the_html_of_a_mail_may_do_nothing(inbox: Inbox) -> None:
    send(inbox, "anna@muster.example", a_mail(html=HOSTILE))

    response, body = get(inbox, "/mails/1/html")

    policy = str(response.getheader("Content-Security-Policy"))
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "sandbox allow-popups allow-popups-to-escape-sandbox" in policy
    assert "allow-scripts" not in policy
    assert body.startswith(b'<!doctype html><base target="_blank">')


def test_the_source_of_a_mail_is_plain_text_for_every_browser(inbox: Inbox) -> None:
    send(inbox, "anna@muster.example", b"Subject: x\r\n\r\n" + HOSTILE.encode() + b"\r\n")

    response, body = get(inbox, "/mails/1/source")

    assert response.getheader("Content-Type") == "text/plain; charset=utf-8"
    assert response.getheader("X-Content-Type-Options") == "nosniff"
    assert HOSTILE.encode() in body


def test_a_request_that_was_meant_for_another_host_is_refused(inbox: Inbox) -> None:
    send(inbox, "anna@muster.example")

    response, body = get(inbox, "/api/mails", host=f"evil.example:{inbox.http_port}")

    assert response.status == 421
    assert b"anna" not in body


@pytest.mark.parametrize(
    "path", ["/api/mails/2", "/api/mails/x", "/mails/1/secrets", "/../inbox.py", "//[", "/mails"]
)
def test_what_is_not_there_is_not_found(path: str) -> None:
    mailbox = a_mailbox_with(a_mail())

    assert answer(mailbox, path).status == 404


@pytest.mark.parametrize(
    ("scheme", "shown"), [("dark", "(min-width: 0)"), ("light", "(max-width: 0)")]
)
def test_a_mail_is_shown_as_a_light_or_dark_client_shows_it(scheme: str, shown: str) -> None:
    html = "<style>@media (Prefers-Color-Scheme:dark) { body { color: white } }</style>"

    document = as_document(html, scheme)

    assert f"@media {shown} {{" in document


def test_a_taken_port_is_replaced_by_a_free_one() -> None:
    with listen(0) as taken:
        port = taken.getsockname()[1]
        inbox = Inbox.start(http_port=port)
        inbox.stop()

    assert inbox.http_port not in (0, port)


def test_after_the_stop_both_ports_are_closed_and_open_connections_too() -> None:
    inbox = Inbox.start()
    sleeping = [
        socket.create_connection(("127.0.0.1", port), timeout=5)
        for port in (inbox.smtp_port, inbox.http_port)
    ]
    get(inbox, "/api/mails")

    inbox.stop()

    for connection, port in zip(sleeping, (inbox.smtp_port, inbox.http_port), strict=True):
        while connection.recv(1000):
            pass
        connection.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)


def test_only_the_last_mails_are_kept() -> None:
    mailbox = Mailbox()

    for number in range(MOST_KEPT + 3):
        mailbox.put("a@demo.example", f"r{number}@muster.example", b"")

    assert [mail.number for mail in mailbox.mails()] == list(range(4, MOST_KEPT + 4))


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(b"Subject: =?nonsense?B?aGk=?=\r\n\r\nx", id="a charset nobody knows"),
        pytest.param(b"Subject: =?utf-8?B?a?=\r\n\r\nx", id="a header that is no base64"),
        pytest.param(b"Subject: \xff\xfe\r\n\r\nx", id="a header that is no text"),
        pytest.param(b"Content-Type: text/plain; charset=rot13\r\n\r\nx", id="a codec, no charset"),
        pytest.param(b"Content-Type: text/plain; charset=\x00\r\n\r\nx", id="a charset of zeros"),
        pytest.param(
            b"Content-Transfer-Encoding: x-uuencode\r\n\r\nbegin 644 x\n\xff\xff\n", id="broken uu"
        ),
        pytest.param(b"".join(b"Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n"
                              % (n, n) for n in range(3000)), id="nested too deeply"),
    ],
)  # fmt: skip
def test_a_broken_mail_is_shown_as_far_as_it_can_be_read(source: bytes) -> None:
    mailbox = a_mailbox_with(source)

    assert [mail["number"] for mail in json.loads(answer(mailbox, "/api/mails").body)] == [1]
    assert answer(mailbox, "/api/mails/1").status == 200
    assert answer(mailbox, "/mails/1/html").status == 200
    assert answer(mailbox, "/mails/1/source").body == source


_LINES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [b"Content-Type: multipart/mixed; boundary=b", b"--b", b"--b--", b"", b"Subject: =?x?Q?=0A"]
    ),
    st.builds(b"Content-Type: text/html; charset=%s".__mod__, st.binary(max_size=9)),
    st.builds(b"Content-Transfer-Encoding: %s".__mod__, st.sampled_from([b"base64", b"x-uu"])),
)


# Catches a decoder's error that nobody thought of: it would take the inbox down for all mails.
@given(st.lists(_LINES, max_size=12).map(b"\r\n".join))
def test_whatever_the_bytes_are_a_mail_can_be_read(source: bytes) -> None:
    content = read_content(source)

    assert content.header("Subject") == content.header("subject")
