"""A mail's bytes as a reader sees them: subject, headers, text, html.

Everything in a mail is hostile. Whatever the bytes are, reading them gives an answer; what cannot
be decoded is shown as it stands.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.errors import MessageError
from email.header import Header, decode_header, make_header
from email.message import Message


@dataclass(frozen=True, slots=True)
class Content:
    """The parts of a mail, decoded. `text` and `html` are empty where the mail has none."""

    headers: tuple[tuple[str, str], ...] = ()
    text: str = ""
    html: str = ""

    def header(self, name: str) -> str:
        """Return the first header of that name, or nothing."""
        wanted = name.lower()
        return next((value for given, value in self.headers if given.lower() == wanted), "")


def read_content(source: bytes) -> Content:
    """Return what can be read of a mail; nothing of one nested too deeply to be meant."""
    try:
        mail = message_from_bytes(source)
        leaves = tuple(_leaves(mail))
    except RecursionError:
        return Content()
    return Content(
        tuple((name, _decoded_header(value)) for name, value in mail.items()),
        _first(leaves, "text/plain"),
        _first(leaves, "text/html"),
    )


def _leaves(mail: Message) -> Iterator[Message]:
    for part in mail.walk():
        if not part.is_multipart():
            yield part


def _first(leaves: tuple[Message, ...], content_type: str) -> str:
    fitting = (part for part in leaves if part.get_content_type() == content_type)
    part = next(fitting, None)
    return "" if part is None else _decoded_body(part)


def _decoded_body(part: Message) -> str:
    try:
        payload = part.get_payload(decode=True)
    except ValueError:  # a broken transfer encoding
        payload = str(part.get_payload()).encode("utf-8", "replace")
    body = payload if isinstance(payload, bytes) else b""
    try:
        return body.decode(str(part.get_content_charset("utf-8")), "replace")
    except (LookupError, ValueError):  # a charset nobody knows
        return body.decode("utf-8", "replace")


def _decoded_header(value: str | Header) -> str:
    try:
        text = str(make_header(decode_header(value)))
    except (LookupError, ValueError, MessageError):
        text = str(value)
    return " ".join(text.split())
