"""An SMTP server inside the tests that takes every mail and remembers it; needs no service."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.real.waiting import LOOPBACK, free_port, wait_until


@dataclass(frozen=True, slots=True)
class TakenMail:
    """A mail as the server got it: the envelope's addresses and the bytes of the content."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes

    @property
    def message(self) -> EmailMessage:
        """The content, parsed."""
        message = message_from_bytes(self.content, policy=default)
        if not isinstance(message, EmailMessage):
            raise TypeError("the policy makes EmailMessages")
        return message


@dataclass  # no slots: aiosmtpd inspects it, which fails in Python 3.11.2 (gh-102069)
class SmtpSink:
    """A running server and the mails that it took, in order; it speaks no TLS."""

    host: str
    port: int
    mails: list[TakenMail] = field(default_factory=list)

    def wait_for(self, count: int, within: float = 30.0) -> list[TakenMail]:
        """Return the mails once there are so many; raise `TimeoutError` after seconds."""
        wait_until(lambda: len(self.mails) >= count, f"{count} mails in the inbox", within)
        return list(self.mails)

    # The method's name and arguments are aiosmtpd's.
    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Remember a mail."""
        content = envelope.original_content or b""
        self.mails.append(TakenMail(envelope.mail_from or "", tuple(envelope.rcpt_tos), content))
        return "250 2.0.0 taken"


@contextmanager
def smtp_sink() -> Iterator[SmtpSink]:
    """Run a server on a free loopback port until the block ends."""
    sink = SmtpSink(LOOPBACK, free_port())
    controller = Controller(sink, hostname=sink.host, port=sink.port)
    controller.start()
    try:
        yield sink
    finally:
        controller.stop()
