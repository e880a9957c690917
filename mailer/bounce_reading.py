"""Bytes from strangers' mail servers to a `Bounce`, or to nothing; the door to the e-mail parser.

Of a bounce that is larger than it need be only the beginning is read: the report stands before what
it returns.
"""

from collections.abc import Iterable, Iterator
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32

from mailer.bouncing import Bounce, Returned

LARGEST = 256 * 1024  #: bytes that are read
_LONGEST = 2_000  # characters of a field
#: Who says whom a mail came to: servers that took it write the first three, its writer the last.
_ADDRESSEES = ("X-Original-To", "Delivered-To", "Envelope-To", "To")
_REPORTS = ("message/delivery-status", "message/global-delivery-status")  # RFC 3464, RFC 6533


def read_bounce(source: bytes) -> Bounce | None:
    """Read a mail as a bounce; None where there is no delivery report in it. Never raises."""
    try:
        mail = BytesParser(policy=compat32).parsebytes(source[:LARGEST])
        addressees = [text for name in _ADDRESSEES for text in _fields(mail, name)]
        return Bounce(addressees, tuple(_recipients(mail)))
    except Exception:  # noqa: BLE001  # what strangers write can make the parser raise anything
        return None


def _recipients(mail: "Message[str, str]") -> Iterator[Returned]:
    if mail.get_content_type() != "multipart/report":
        return
    for part in _parts(mail):
        if part.get_content_type() in _REPORTS:
            # The first block is about the message, the others about a recipient each.
            yield from (_returned(block) for block in _parts(part) if block.get("Action"))
            return  # a second report would be one about another mail


def _returned(block: "Message[str, str]") -> Returned:
    names = ("Final-Recipient", "Original-Recipient")
    texts = [text for name in names for text in _fields(block, name)]
    return Returned(
        action=_field(block, "Action"),
        status=_field(block, "Status"),
        diagnostic=_field(block, "Diagnostic-Code"),
        addresses=tuple(text.partition(";")[2].strip() for text in texts),
    )


def _parts(mail: "Message[str, str]") -> Iterable["Message[str, str]"]:
    payload = mail.get_payload()
    return [part for part in payload if isinstance(part, Message)] if mail.is_multipart() else []


def _field(mail: "Message[str, str]", name: str) -> str:
    return next(iter(_fields(mail, name)), "")


def _fields(mail: "Message[str, str]", name: str) -> list[str]:
    """Return a field's texts, each on one line; bytes that are no text become question marks."""
    texts = (str(text)[:_LONGEST] for text in mail.get_all(name, []))
    return [" ".join(text.split()).encode("utf-8", "replace").decode() for text in texts]
