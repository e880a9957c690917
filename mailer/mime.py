"""An outgoing mail as the bytes that go to the mail server: the same at every attempt.

Built from the record alone, so that nothing that changes between two attempts can reach it
(email.md, sections 1 and 2). Records come from a topic: whatever could slip out of its header is
refused, and no id of ours is trusted to be one.
"""

import hashlib
import re
from binascii import b2a_base64
from datetime import UTC, datetime

from mailer.headers import HeaderText, folded, line, mailbox_line, text_line
from schemas.addresses import EmailAddress
from schemas.errors import InvalidValue
from schemas.mails import OutgoingMail

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+"
_MESSAGE_ID = re.compile(rf"(?=.{{3,320}}\Z)<{_ATOM}@[A-Za-z0-9.-]+>")  # RFC 5322 3.6.4
_LIST_ID = re.compile(rf"(?=.{{3,255}}\Z)<{_ATOM}>")  # RFC 2919 3
_HTTPS_URL = re.compile(r"(?=.{9,800}\Z)https://[!#-;=?-Z\[\]_a-z~%]+")
_MAILTO = re.compile(r"(?=.{8,800}\Z)mailto:[!#-;=?-Z_a-z~%]+")

_LONGEST_ID_SHOWN = 200  # characters; longer ids of foreign making stay out of the headers
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def mime_bytes(mail: OutgoingMail) -> bytes:
    """Return the whole message, CRLF at each line's end; the same mail gives the same bytes.

    Raise `InvalidValue` if a field of the record cannot stand in a message.
    """
    boundary = f"=_{_hash(mail.mail_id)[:32]}"
    head = "\r\n".join((*_headers(mail), _content_type(boundary), "", "")).encode("ascii")
    delimiter = f"--{boundary}".encode("ascii")
    parts = (b"", _part("plain", mail.text), _part("html", mail.html))
    return head + (delimiter + b"\r\n").join(parts) + delimiter + b"--\r\n"


def _headers(mail: OutgoingMail) -> list[str]:
    lines = [
        mailbox_line("From", _name(mail.from_name), mail.from_address.text),
        *_reply_to(mail.reply_to),
        line("To", mail.recipient.text),
        text_line("Subject", HeaderText(mail.subject)),
        line("Date", _date(mail.date)),
        line("Message-ID", _checked(_MESSAGE_ID, mail.message_id, "message_id")),
        *_thread(mail.thread_root),
        line("Auto-Submitted", "auto-generated"),  # RFC 3834 5
        line("X-Auto-Response-Suppress", "OOF, AutoReply, RN, NRN"),  # MS-OXCMAIL 2.1.3.2.20
    ]
    if mail.list_id is not None:
        lines.append(line("List-Id", _checked(_LIST_ID, mail.list_id, "list_id")))
    return [
        *lines,
        *_unsubscribe(mail),
        line("Feedback-ID", _feedback_id(mail)),
        line("Content-Language", mail.language),
        *_foreign_id("X-Push-Event-Id", mail.event_id),
        *_foreign_id("X-Push-Rule-Id", mail.rule_id),
        line("MIME-Version", "1.0"),
    ]


def _name(text: str | None) -> HeaderText | None:
    return HeaderText(text) if text else None


def _reply_to(address: EmailAddress | None) -> list[str]:
    return [] if address is None else [line("Reply-To", address.text)]


def _thread(root: str | None) -> list[str]:
    """Tie all mails of a file together; the root itself was never sent, and need not exist."""
    if root is None:
        return []
    checked = _checked(_MESSAGE_ID, root, "thread_root")
    return [line("In-Reply-To", checked), line("References", checked)]


def _unsubscribe(mail: OutgoingMail) -> list[str]:
    """Return the pair of RFC 8058; one click needs the web address."""
    url, mailto = mail.unsubscribe_url, mail.unsubscribe_mailto
    ways = []
    if url is not None:
        ways.append(f"<{_checked(_HTTPS_URL, url, 'unsubscribe_url')}>")
    if mailto is not None:
        ways.append(f"<{_checked(_MAILTO, mailto, 'unsubscribe_mailto')}>")
    if not ways:
        return []
    lines = [folded("List-Unsubscribe:", *(f"{way}," for way in ways[:-1]), ways[-1])]
    return lines if url is None else [*lines, "List-Unsubscribe-Post: List-Unsubscribe=One-Click"]


def _feedback_id(mail: OutgoingMail) -> str:
    """Return what a mailbox provider counts complaints by: event type, tenant, kind and sender.

    Four parts, the sender's of 5 to 15 signs (https://support.google.com/mail/answer/6254652). The
    tenant is named as in List-Id; the sender is the domain that mails are from.
    """
    tenant, sender = _hash(mail.tenant_id)[:16], _hash(mail.from_address.domain)[:12]
    return f"{mail.event_type}:{tenant}:push:{sender}"


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode(errors="replace")).hexdigest()


def _foreign_id(name: str, text: str) -> list[str]:
    """Show an id for support where it can be shown; it is a convenience, never worth a mail."""
    try:
        checked = HeaderText(text)
    except InvalidValue:
        return []
    return [text_line(name, checked)] if 0 < len(text) <= _LONGEST_ID_SHOWN else []


def _content_type(boundary: str) -> str:
    return f'Content-Type: multipart/alternative;\r\n boundary="{boundary}"'


def _part(subtype: str, text: str) -> bytes:
    """Return a part with its headers, up to the delimiter behind it.

    In base64 no line is too long, none starts with a dot, and no relay has a reason to change one.
    """
    head = (
        f"Content-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    )
    raw = b2a_base64(_canonical(text), newline=False)
    lines = b"\r\n".join(raw[at : at + 76] for at in range(0, len(raw), 76))
    return head.encode("ascii") + lines + b"\r\n"


def _canonical(text: str) -> bytes:
    """Return text with CRLF at each line's end, as a text part has it (RFC 2046 4.1.1)."""
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        raise InvalidValue("a body holds text that is no Unicode") from None
    return raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")


def _date(at: datetime) -> str:
    """Return an instant as RFC 5322 3.3 spells it, in UTC, whatever the process's locale."""
    at = at.astimezone(UTC)
    return (
        f"{_DAYS[at.weekday()]}, {at.day:02} {_MONTHS[at.month - 1]} {at.year:04} "
        f"{at:%H:%M:%S} +0000"
    )


def _checked(shape: re.Pattern[str], text: str, field: str) -> str:
    if shape.fullmatch(text) is None:
        raise InvalidValue(f"{field}: cannot stand in a header")
    return text
