"""The mail server as a `Relay`: one kept connection, one recipient and one mail a transaction.

Where the server takes several commands at once (RFC 2920), MAIL, RCPT and DATA go out together:
two round trips a mail instead of four. The content waits for 354 in any case, since the ledger has
to know first. Where it sends reports (RFC 3461), it is asked for those of failure and delay.
"""

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic

from mailer.ports import Envelope
from mailer.replies import Phase, Reply
from mailer.smtp_client import TIMEOUTS, Conversation, MailServer, Timeouts
from schemas.addresses import EmailAddress

_BLOCK = 64 * 1024  # bytes handed to the network at once; each may take as long as `block`
_LONGEST_ENVELOPE_ID = 100  # characters (RFC 3461 4.4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """How long a connection is kept."""

    longest: timedelta = timedelta(minutes=5)
    longest_idle: timedelta = timedelta(minutes=1)
    unasked: timedelta = timedelta(seconds=5)  #: idle for longer: RSET has to be answered first
    most_mails: int = 100


KEEPING = Keeping()


@dataclass(slots=True, kw_only=True)
class SmtpRelay:
    """A `Relay` on the standard library's client. `seconds` is a clock that only goes forward.

    Certificates are checked against the system's, or by the `context` given.
    """

    server: MailServer
    seconds: Callable[[], float] = monotonic
    context: ssl.SSLContext = field(default_factory=ssl.create_default_context)
    timeouts: Timeouts = TIMEOUTS
    keeping: Keeping = KEEPING
    _connection: Conversation | None = field(default=None, init=False)
    _opened_at: float = field(default=0.0, init=False)
    _used_at: float = field(default=0.0, init=False)
    _mails: int = field(default=0, init=False)

    def hand_over(
        self, envelope: Envelope, content: bytes, starting: Callable[[], bool]
    ) -> Reply | None:
        """Hand one mail over and return the reply that decided."""
        accepted = False
        try:
            reply = self._fit_connection() or self._envelope(envelope, len(content))
            if reply is None and starting():
                reply = self._content(content, envelope.recipient)
                accepted = reply.code is not None and reply.code < 300
            return reply
        finally:
            if not accepted:
                self._drop()

    def close(self) -> None:
        """Say good-bye and close; the server's answer does not matter."""
        if self._connection is not None:
            self._connection.ask(b"QUIT", Phase.CONNECT, self.timeouts.quit)
        self._drop()

    def close_if_idle(self) -> None:
        """Close a connection that the server would soon close itself."""
        idle = self.seconds() - self._used_at
        if self._connection is not None and idle > self.keeping.longest_idle.total_seconds():
            self.close()

    def break_off(self) -> None:
        """End whatever is under way, from another thread: a stop cannot wait for a slow server.

        A mail whose content has started is then in doubt, and is noted so.
        """
        connection = self._connection
        if connection is not None:
            connection.break_off()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    # The connection

    def _fit_connection(self) -> Reply | None:
        """Have a connection that is ready for a mail, or return the reply that says why not.

        A kept one that is old, worn or has something to say is replaced first.
        """
        if self._connection is not None and not self._is_fit(self._connection):
            self.close()
        if self._connection is None:
            fault = self._open()
            if fault is not None:
                return fault
        self._mails += 1
        self._used_at = self.seconds()
        return None

    def _is_fit(self, connection: Conversation) -> bool:
        now, keeping = self.seconds(), self.keeping
        idle = now - self._used_at
        if (
            self._mails >= keeping.most_mails
            or idle > keeping.longest_idle.total_seconds()
            or now - self._opened_at > keeping.longest.total_seconds()
            or not connection.is_quiet()
        ):
            return False
        if idle <= keeping.unasked.total_seconds():
            return True
        return connection.ask(b"RSET", Phase.CONNECT, self.timeouts.set_up).code == 250

    def _open(self) -> Reply | None:
        self._connection = Conversation(
            server=self.server, timeouts=self.timeouts, context=self.context
        )
        self._opened_at, self._mails = self.seconds(), 0
        return self._connection.open()

    # The mail

    def _envelope(self, envelope: Envelope, size: int) -> Reply | None:
        """Go as far as 354 and return None, or return the reply that came instead."""
        connection = self._connection
        if connection is None:
            return Reply.missing("connection closed", Phase.MAIL)
        commands = _commands(connection, envelope, size)
        at_once = connection.offers("pipelining")
        steps = (
            (Phase.MAIL, self.timeouts.mail),
            (Phase.RCPT, self.timeouts.rcpt),
            (Phase.DATA, self.timeouts.data),
        )
        for number, (phase, timeout) in enumerate(steps):
            due = b"".join(commands) if at_once and number == 0 else commands[number]
            fault = None
            if not at_once or number == 0:
                fault = connection.send(due, phase, timeout)
            reply = fault or connection.reply(phase, timeout, envelope.recipient)
            if not _goes_on(reply):
                return reply
        return None

    def _content(self, content: bytes, recipient: EmailAddress) -> Reply:
        connection, wire = self._connection, _with_dots(content)
        if connection is None:
            return Reply.missing("connection closed", Phase.DATA)
        until = monotonic() + self.timeouts.content.total_seconds()
        for start in range(0, len(wire), _BLOCK):
            if monotonic() > until:  # without its final dot it has not arrived
                return Reply.missing("timed out", Phase.DATA)
            block = wire[start : start + _BLOCK]
            fault = connection.send(block, Phase.CONTENT, self.timeouts.block)
            if fault is not None:
                return fault
        reply = connection.reply(Phase.CONTENT, self.timeouts.final_dot, recipient)
        self._used_at = self.seconds()
        return reply


def _goes_on(reply: Reply) -> bool:
    if reply.phase is Phase.DATA:
        return reply.code == 354
    return reply.code is not None and reply.code < 300


def _commands(connection: Conversation, envelope: Envelope, size: int) -> tuple[bytes, ...]:
    """Return MAIL, RCPT and DATA with what the server offers: SIZE, and reports by RFC 3461.

    Only the headers come back with a report: the body stays out of other people's mailboxes.
    """
    mail, rcpt = f"MAIL FROM:<{envelope.sender.text}>", f"RCPT TO:<{envelope.recipient.text}>"
    if connection.offers("size"):
        mail += f" SIZE={size}"
    if connection.offers("dsn"):
        name = xtext(envelope.mail_id)
        mail += " RET=HDRS" + (f" ENVID={name}" if len(name) <= _LONGEST_ENVELOPE_ID else "")
        rcpt += f" NOTIFY=FAILURE,DELAY ORCPT=rfc822;{xtext(envelope.recipient.text)}"
    return tuple(f"{command}\r\n".encode("ascii") for command in (mail, rcpt, "DATA"))


def xtext(text: str) -> str:
    """Return text as RFC 3461 4 spells it: nothing in it can end a parameter or a line."""
    return "".join(
        chr(byte) if 33 <= byte <= 126 and byte not in b"+=" else f"+{byte:02X}"
        for byte in text.encode(errors="replace")
    )


def _with_dots(content: bytes) -> bytes:
    """Return the content as it goes over the wire: dots doubled, final dot (RFC 5321 4.5.2)."""
    ended = content if content.endswith(b"\r\n") else content + b"\r\n"
    dotted = ended.replace(b"\n.", b"\n..")
    return (b"." if ended.startswith(b".") else b"") + dotted + b".\r\n"
