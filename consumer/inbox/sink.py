"""An SMTP sink with a small web page: where the mails of the demo arrive.

It listens on the loopback interface only and keeps everything in memory. Scripted recipients show
what can go wrong, by the local part of their address: `refused` gets 550 5.1.1, `busy` is
greylisted once (451 4.7.1), `slow` answers after a second.
"""

import asyncio
import threading
from dataclasses import dataclass, field
from typing import Self

from aiosmtpd.smtp import SMTP, Envelope, Session

from consumer.inbox.loopback import listen
from consumer.inbox.mailbox import Mailbox, ReceivedMail, Refusal
from consumer.inbox.page import InboxPage

LARGEST = 1024 * 1024  #: bytes of a mail; larger ones get 552
SLOWNESS = 1.0  #: seconds

REFUSED = "550 5.1.1 no such mailbox here"
GREYLISTED = "451 4.7.1 greylisted, try again later"


@dataclass(frozen=True, slots=True)
class Inbox:
    """Takes mails in over SMTP and shows them on a page."""

    mailbox: Mailbox
    _sink: "_Sink"
    _page: InboxPage

    @classmethod
    def start(cls, smtp_port: int = 0, http_port: int = 0) -> Self:
        """Open both doors. Port 0 takes any free port, and so does a port that is taken."""
        mailbox = Mailbox()
        page = InboxPage.start(mailbox, http_port)
        return cls(mailbox, _Sink.start(mailbox, smtp_port), page)

    @property
    def smtp_port(self) -> int:
        """Return the port on which mails are taken in."""
        return self._sink.port

    @property
    def http_port(self) -> int:
        """Return the port of the page."""
        return self._page.port

    @property
    def url(self) -> str:
        """Return where a browser finds the page."""
        return f"http://127.0.0.1:{self.http_port}/"

    def mails(self) -> tuple[ReceivedMail, ...]:
        """Return the last mails, at most 500, oldest first."""
        return self.mailbox.mails()

    def refusals(self) -> tuple[Refusal, ...]:
        """Return the recipients that were turned away, oldest first."""
        return self.mailbox.refusals()

    def stop(self) -> None:
        """Close both doors and every connection; return when nothing runs any more."""
        self._sink.stop()
        self._page.stop()


# Without slots: aiosmtpd looks through its handler's attributes, and Python 3.11.2 (Debian 12)
# fails on the weak reference that slots come with.
@dataclass
class _Reception:
    """Answers RCPT and DATA; the method names are those that aiosmtpd calls."""

    mailbox: Mailbox
    greylisted: set[str] = field(default_factory=set)

    async def handle_RCPT(  # noqa: N802  # the library's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take the recipient, or turn it away as its local part asks for."""
        scripted = address.partition("@")[0]
        if scripted == "refused":
            return self._turn_away(address, REFUSED)
        if scripted == "busy" and address not in self.greylisted:
            self.greylisted.add(address)
            return self._turn_away(address, GREYLISTED)
        if scripted == "slow":
            await asyncio.sleep(SLOWNESS)
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    def _turn_away(self, address: str, reply: str) -> str:
        self.mailbox.note_refusal(address, reply)
        return reply

    async def handle_DATA(  # noqa: N802  # the library's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Keep the mail once for each recipient."""
        source = envelope.original_content or b""
        for recipient in envelope.rcpt_tos:
            self.mailbox.put(envelope.mail_from or "", recipient, source)
        return "250 2.0.0 OK: kept in the inbox"


class _Sink:
    """The SMTP server: an event loop in a thread of its own."""

    def __init__(self, mailbox: Mailbox, port: int) -> None:
        self._socket = listen(port)
        self.port: int = self._socket.getsockname()[1]
        self._reception = _Reception(mailbox)
        self._sessions: list[SMTP] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._asked_to_stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="inbox-smtp", daemon=True)

    @classmethod
    def start(cls, mailbox: Mailbox, port: int) -> Self:
        sink = cls(mailbox, port)
        sink._thread.start()
        sink._ready.wait()
        return sink

    def stop(self) -> None:
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._asked_to_stop.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        server = await self._loop.create_server(self._session, sock=self._socket)
        self._ready.set()
        await self._asked_to_stop.wait()
        server.close()
        for session in self._sessions:
            if session.transport is not None:
                session.transport.close()
        await asyncio.sleep(0)  # the loop lets go of what was closed

    def _session(self) -> SMTP:
        self._sessions = [known for known in self._sessions if known.transport is not None]
        session = SMTP(  # the name is given: asking the resolver for it may take seconds
            self._reception, data_size_limit=LARGEST, hostname="inbox.localhost", ident="push inbox"
        )
        self._sessions.append(session)
        return session
