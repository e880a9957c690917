"""The mail server, over one SMTP connection that is kept: TLS, credentials, replies as values.

The standard library's client speaks; `SMTP.data` stays unused, since it sends the content without
asking once the server is ready for it. The client knows one timeout: it is set before each phase.
"""

import re
import select
import smtplib
import socket
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from mailer.replies import Phase, Reply
from schemas.addresses import EmailAddress

_BLOCK = 64 * 1024  # bytes handed to the network at once; each may take as long as `block`


class Tls(StrEnum):
    """How the connection is encrypted."""

    STARTTLS = "starttls"  #: mandatory: a server without it gets no mail
    IMPLICIT = "implicit"  #: from the first byte (RFC 8314)
    NONE = "none"  #: not at all; for a server on the same machine


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """Where mails are handed over, and as whom. `hello_name` is ours; None: this machine's."""

    host: str
    port: int = 587
    tls: Tls = Tls.STARTTLS
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    hello_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long to wait for each reply: RFC 5321 4.5.3.2, but for connecting to our own relay.

    A shorter wait after the final dot makes duplicates.
    """

    connect: timedelta = timedelta(seconds=30)  #: also greeting, EHLO, STARTTLS, AUTH, RSET
    mail: timedelta = timedelta(minutes=5)
    rcpt: timedelta = timedelta(minutes=5)
    data: timedelta = timedelta(minutes=2)
    block: timedelta = timedelta(minutes=3)
    final_dot: timedelta = timedelta(minutes=10)
    quit: timedelta = timedelta(seconds=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """How long a connection is kept (email.md, section 5)."""

    longest: timedelta = timedelta(minutes=5)
    longest_idle: timedelta = timedelta(minutes=1)
    unasked: timedelta = timedelta(seconds=5)  #: idle for longer: RSET has to be answered first
    most_mails: int = 100


@dataclass(slots=True, kw_only=True)
class SmtpRelay:
    """A `Relay` on the standard library's client. `seconds` is a clock that only goes forward.

    Certificates are checked against the system's, or by the `context` given.
    """

    server: MailServer
    seconds: Callable[[], float]
    context: ssl.SSLContext = field(default_factory=ssl.create_default_context)
    timeouts: Timeouts = Timeouts()
    keeping: Keeping = Keeping()
    _client: smtplib.SMTP | None = field(default=None, init=False)
    _opened_at: float = field(default=0.0, init=False)
    _used_at: float = field(default=0.0, init=False)
    _mails: int = field(default=0, init=False)

    def hand_over(
        self,
        sender: EmailAddress,
        recipient: EmailAddress,
        content: bytes,
        starting: Callable[[], bool],
    ) -> Reply | None:
        """Hand one mail over and return the reply that decided."""
        accepted = False
        try:
            client = self._fit_connection()
            if isinstance(client, Reply):
                return client
            reply = self._envelope(client, sender, recipient, len(content))
            if reply is None and starting():
                reply = self._content(client, content, recipient)
                accepted = reply.code is not None and reply.code < 300
            return reply
        finally:
            if not accepted:
                self._drop()

    def close(self) -> None:
        """Say good-bye and close; the server's answer does not matter."""
        if self._client is not None:
            self._ask(self._client, Phase.CONNECT, self.timeouts.quit, self._client.quit)
        self._drop()

    def break_off(self) -> None:
        """End whatever is under way, from another thread: a stop cannot wait for a slow server.

        A mail whose content has started is then in doubt, and is noted so.
        """
        sock = self._client.sock if self._client is not None else None
        if sock is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # it is closed already

    def _drop(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None

    # The connection

    def _fit_connection(self) -> smtplib.SMTP | Reply:
        """Return a connection that is ready for a mail, or the reply that says why none is.

        A kept one that is old, worn or has something to say is replaced first.
        """
        if self._client is not None and not self._is_fit(self._client):
            self.close()
        client = self._client or self._opened()
        if isinstance(client, smtplib.SMTP):
            self._mails += 1
            self._used_at = self.seconds()
        return client

    def _is_fit(self, client: smtplib.SMTP) -> bool:
        now, keeping = self.seconds(), self.keeping
        idle = now - self._used_at
        if (
            self._mails >= keeping.most_mails
            or idle > keeping.longest_idle.total_seconds()
            or now - self._opened_at > keeping.longest.total_seconds()
            or _has_something_to_read(client)
        ):
            return False
        if idle <= keeping.unasked.total_seconds():
            return True
        reply = self._ask(client, Phase.CONNECT, self.timeouts.connect, client.rset)
        return reply.code == 250

    def _opened(self) -> smtplib.SMTP | Reply:
        try:
            client = self._greeted()
        except smtplib.SMTPResponseException as error:
            return _reply_in(error, Phase.GREETING)
        except smtplib.SMTPException as error:
            return Reply.missing(_why(error), Phase.GREETING)
        except (OSError, ValueError) as error:
            return Reply.missing(_why(error), Phase.CONNECT)
        self._client = client
        self._opened_at, self._mails = self.seconds(), 0
        for phase, step in self._set_up(client):
            fault = _fault(phase, step)
            if fault is not None:
                return fault
        return client

    def _greeted(self) -> smtplib.SMTP:
        host, port, name = self.server.host, self.server.port, self.server.hello_name
        timeout = self.timeouts.connect.total_seconds()
        if self.server.tls is Tls.IMPLICIT:
            return smtplib.SMTP_SSL(host, port, name, timeout=timeout, context=self.context)
        return smtplib.SMTP(host, port, name, timeout=timeout)

    def _set_up(self, client: smtplib.SMTP) -> Iterable[tuple[Phase, Callable[[], object]]]:
        yield Phase.EHLO, client.ehlo_or_helo_if_needed
        if self.server.tls is Tls.STARTTLS:
            yield Phase.STARTTLS, lambda: client.starttls(context=self.context)
            yield Phase.EHLO, client.ehlo_or_helo_if_needed
        if self.server.username is not None:
            username, password = self.server.username, self.server.password or ""
            yield Phase.AUTH, lambda: client.login(username, password)

    # The mail

    def _envelope(
        self, client: smtplib.SMTP, sender: EmailAddress, recipient: EmailAddress, size: int
    ) -> Reply | None:
        """Go as far as 354 and return None, or return the reply that came instead."""
        options = (f"size={size}",) if client.has_extn("size") else ()
        steps = (
            (Phase.MAIL, self.timeouts.mail, lambda: client.mail(sender.text, options)),
            (Phase.RCPT, self.timeouts.rcpt, lambda: client.rcpt(recipient.text)),
            (Phase.DATA, self.timeouts.data, lambda: client.docmd("DATA")),
        )
        for phase, timeout, command in steps:
            reply = self._ask(client, phase, timeout, command, recipient)
            if not _goes_on(reply):
                return reply
        return None

    def _content(self, client: smtplib.SMTP, content: bytes, recipient: EmailAddress) -> Reply:
        wire = _with_dots(content)
        for start in range(0, len(wire), _BLOCK):
            block = wire[start : start + _BLOCK]
            fault = self._send(client, block)
            if fault is not None:
                return fault
        timeout = self.timeouts.final_dot
        reply = self._ask(client, Phase.CONTENT, timeout, client.getreply, recipient)
        self._used_at = self.seconds()
        return reply

    def _send(self, client: smtplib.SMTP, block: bytes) -> Reply | None:
        _set_timeout(client, self.timeouts.block)
        try:
            client.send(block)
        except OSError as error:
            return Reply.missing(_why(error), Phase.CONTENT)
        return None

    def _ask(
        self,
        client: smtplib.SMTP,
        phase: Phase,
        timeout: timedelta,
        command: Callable[[], tuple[int, bytes]],
        recipient: EmailAddress | None = None,
    ) -> Reply:
        _set_timeout(client, timeout)
        try:
            code, raw = command()
        except (OSError, ValueError) as error:  # the client's own errors are OSErrors too
            return Reply.missing(_why(error), phase)
        return Reply.read(code, raw, phase, recipient)


def _goes_on(reply: Reply) -> bool:
    if reply.phase is Phase.DATA:
        return reply.code == 354
    return reply.code is not None and reply.code < 300


def _with_dots(content: bytes) -> bytes:
    """Return the content as it goes over the wire: dots doubled, final dot (RFC 5321 4.5.2)."""
    ended = content if content.endswith(b"\r\n") else content + b"\r\n"
    return re.sub(rb"(?m)^\.", b"..", ended) + b".\r\n"


def _set_timeout(client: smtplib.SMTP, timeout: timedelta) -> None:
    if client.sock is not None:
        client.sock.settimeout(timeout.total_seconds())


def _has_something_to_read(client: smtplib.SMTP) -> bool:
    """Say whether the server spoke unasked or hung up: then nothing it says can be trusted."""
    if client.sock is None:
        return True
    poll = select.poll()
    poll.register(client.sock, select.POLLIN)
    return bool(poll.poll(0))


def _fault(phase: Phase, step: Callable[[], object]) -> Reply | None:
    try:
        step()
    except smtplib.SMTPResponseException as error:
        return _reply_in(error, phase)
    except (OSError, ValueError) as error:
        return Reply.missing(_why(error), phase)
    return None


def _reply_in(error: smtplib.SMTPResponseException, phase: Phase) -> Reply:
    raw = error.smtp_error
    return Reply.read(error.smtp_code, raw if isinstance(raw, bytes) else raw.encode(), phase, None)


def _why(error: Exception) -> str:
    """Return a word of our own for what went wrong, never the server's."""
    cause = error.__context__ if isinstance(error, smtplib.SMTPServerDisconnected) else error
    match cause:
        case ssl.SSLCertVerificationError():
            return f"certificate refused: {cause.verify_message}"
        case smtplib.SMTPNotSupportedError():
            return "not offered by the server"
        case smtplib.SMTPServerDisconnected() | None:
            return "connection closed"
        case TimeoutError():
            return "timed out"
        case socket.gaierror():
            return "host name not found"
        case UnicodeError():
            return "a name or password that is not ASCII"
        case ConnectionRefusedError():
            return "connection refused"
    return type(cause).__name__
