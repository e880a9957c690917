"""One SMTP conversation on the standard library's client: connecting, TLS, credentials, replies.

The client reads a reply with a timeout a packet, so a server that drips a byte at a time could hold
it for ever. Here a whole reply, and a whole block of content, has to be through by an instant. What
a server said before encryption began is forgotten when it begins (RFC 3207, section 6).
"""

import select
import smtplib
import socket
import ssl
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from functools import partial
from time import monotonic
from typing import TypeAlias, TypeVar

from mailer.replies import Phase, Reply
from schemas.addresses import EmailAddress

_LONGEST_REPLY = 64 * 1024  # bytes
_READ_AT_ONCE = 4096
_SHORTEST = 1.0  # seconds; a shorter timeout is set anew where there is more time

_Done = TypeVar("_Done")


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

    @property
    def name(self) -> str:
        """Return what logs and metrics call it."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long to wait for each reply: RFC 5321 4.5.3.2, and what it leaves open.

    A shorter wait after the final dot makes duplicates.
    """

    connect: timedelta = timedelta(seconds=30)
    greeting: timedelta = timedelta(minutes=5)
    set_up: timedelta = timedelta(minutes=1)  #: each of EHLO, STARTTLS, AUTH and RSET
    mail: timedelta = timedelta(minutes=5)
    rcpt: timedelta = timedelta(minutes=5)
    data: timedelta = timedelta(minutes=2)
    block: timedelta = timedelta(minutes=3)
    content: timedelta = timedelta(minutes=5)  #: until the last block begins
    final_dot: timedelta = timedelta(minutes=10)
    quit: timedelta = timedelta(seconds=2)

    @property
    def after_start(self) -> timedelta:
        """Return what may follow the noted start of a content; no lease may be shorter."""
        return self.content + self.block + self.final_dot

    @property
    def whole(self) -> timedelta:
        """Return how long one mail may take, with a new connection for it."""
        set_up = 5 * self.set_up  # RSET of the old one; EHLO, STARTTLS, EHLO and AUTH
        envelope = self.mail + self.rcpt + self.data
        return self.quit + self.connect + self.greeting + set_up + envelope + self.after_start


TIMEOUTS = Timeouts()


class _Listener:
    """The reading half of a client: a reply by an instant, or none."""

    sock: socket.socket | None = None
    until: float = 0.0  #: when the next reply has to be there
    _heard: socket.socket | None = None
    _pending: bytes = b""

    @property
    def was_heard(self) -> bool:
        """Say whether the client ever listened for a reply."""
        return self._heard is not None

    def getreply(self) -> tuple[int, bytes]:
        """Return a reply's code, -1 for none, and its lines; asked by every step of the client."""
        if self.sock is not self._heard:  # encryption has begun
            self._heard, self._pending = self.sock, b""
        lines, size, more = list[bytes](), 0, True
        code = -1
        while more:
            line = self._line()
            size += len(line)
            if size > _LONGEST_REPLY or not line[:3].isdigit():
                return -1, b""
            code, more = int(line[:3]), line[3:4] == b"-"
            lines.append(line[4:].strip(b" \t\r\n"))
        return code, b"\n".join(lines)

    def _line(self) -> bytes:
        while b"\n" not in self._pending and len(self._pending) <= _LONGEST_REPLY:
            self._pending += self._received()
        line, _, self._pending = self._pending.partition(b"\n")
        return line

    def _received(self) -> bytes:
        sock = self.sock
        if sock is None:
            raise smtplib.SMTPServerDisconnected("closed")
        received = _by(self.until, sock, partial(sock.recv, _READ_AT_ONCE))
        if not received:
            raise smtplib.SMTPServerDisconnected("closed")
        return received

    def has_something_to_say(self) -> bool:
        """Say whether the server spoke unasked or hung up: then nothing it says can be trusted."""
        if self.sock is None or self._pending:
            return True
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return bool(poll.poll(0))


def _by(until: float, sock: socket.socket, step: Callable[[], _Done]) -> _Done:
    """Do a step of a socket by an instant, or raise `TimeoutError`.

    Setting a socket's timeout costs a call of the system, and lets other threads go first: one that
    is set and ends in time is kept, and the step done again after it.
    """
    while True:
        left = until - monotonic()
        if left <= 0:
            raise TimeoutError
        timeout = sock.gettimeout()
        if timeout is None or not min(left, _SHORTEST) <= timeout <= left:
            sock.settimeout(left)
        with suppress(TimeoutError):
            return step()


class _Plain(_Listener, smtplib.SMTP):
    def __init__(self, server: MailServer, timeouts: Timeouts, begun: "Begun") -> None:
        self.until = monotonic() + (timeouts.connect + timeouts.greeting).total_seconds()
        begun(self)
        seconds = timeouts.connect.total_seconds()
        super().__init__(server.host, server.port, server.hello_name, timeout=seconds)


class _Encrypted(_Listener, smtplib.SMTP_SSL):
    def __init__(
        self, server: MailServer, timeouts: Timeouts, begun: "Begun", context: ssl.SSLContext
    ) -> None:
        self.until = monotonic() + (timeouts.connect + timeouts.greeting).total_seconds()
        begun(self)
        seconds = timeouts.connect.total_seconds()
        super().__init__(
            server.host, server.port, server.hello_name, timeout=seconds, context=context
        )


Client: TypeAlias = _Plain | _Encrypted
Begun: TypeAlias = Callable[[Client], None]  # told of a client before it connects: it may hang


@dataclass(slots=True, kw_only=True)
class Conversation:
    """A connection to a mail server. Used by one thread; `break_off` may come from another."""

    server: MailServer
    timeouts: Timeouts
    context: ssl.SSLContext
    _client: Client | None = field(default=None, init=False)

    def open(self) -> Reply | None:
        """Connect and go as far as a mail may follow, or return the reply that says why not."""
        try:
            client = self._greeted()
        except smtplib.SMTPResponseException as error:
            return _reply_in(error, Phase.GREETING)
        except (OSError, ValueError) as error:
            return Reply.missing(_why(error), self._reached())
        return self._set_up(client)

    def _greeted(self) -> Client:
        if self.server.tls is Tls.IMPLICIT:
            return _Encrypted(self.server, self.timeouts, self._begin, self.context)
        return _Plain(self.server, self.timeouts, self._begin)

    def _begin(self, client: Client) -> None:
        self._client = client

    def _reached(self) -> Phase:
        """Return how far connecting came: a server that says nothing was there at least."""
        listened = self._client is not None and self._client.was_heard
        return Phase.GREETING if listened else Phase.CONNECT

    def _set_up(self, client: Client) -> Reply | None:
        for phase, step in self._steps(client):
            client.until = monotonic() + self.timeouts.set_up.total_seconds()
            if client.sock is not None:
                client.sock.settimeout(self.timeouts.set_up.total_seconds())
            fault = _fault(phase, step)
            if fault is not None:
                return fault
        return None

    def _steps(self, client: Client) -> Iterable[tuple[Phase, Callable[[], object]]]:
        yield Phase.EHLO, client.ehlo_or_helo_if_needed
        if self.server.tls is Tls.STARTTLS:
            yield Phase.STARTTLS, lambda: client.starttls(context=self.context)
            yield Phase.EHLO, client.ehlo_or_helo_if_needed
        if self.server.username is not None:
            username, password = self.server.username, self.server.password or ""
            yield Phase.AUTH, lambda: client.login(username, password)

    def offers(self, extension: str) -> bool:
        """Say whether the server's EHLO named an extension."""
        return self._client is not None and self._client.has_extn(extension)

    def send(self, content: bytes, phase: Phase, timeout: timedelta) -> Reply | None:
        """Send bytes as they are, all within the timeout, or return what stands for a reply."""
        until, left = monotonic() + timeout.total_seconds(), memoryview(content)
        sock = None if self._client is None else self._client.sock
        if sock is None:
            return Reply.missing("connection closed", phase)
        try:
            while left:
                left = left[_by(until, sock, partial(sock.send, left)) :]
        except (OSError, ValueError) as error:
            return Reply.missing(_why(error), phase)
        return None

    def reply(
        self, phase: Phase, timeout: timedelta, recipient: EmailAddress | None = None
    ) -> Reply:
        """Return the next reply, or what stands for it where none comes in time."""
        if self._client is None:
            return Reply.missing("connection closed", phase)
        self._client.until = monotonic() + timeout.total_seconds()
        try:
            code, raw = self._client.getreply()
        except (OSError, ValueError) as error:  # the client's own errors are OSErrors too
            return Reply.missing(_why(error), phase)
        if code == -1:
            return Reply.missing("not a reply of SMTP", phase)
        return Reply.read(code, raw, phase, recipient)

    def is_quiet(self) -> bool:
        """Say whether the server is still there and has said nothing unasked."""
        return self._client is not None and not self._client.has_something_to_say()

    def ask(self, command: bytes, phase: Phase, timeout: timedelta) -> Reply:
        """Send a command and return its reply."""
        return self.send(command + b"\r\n", phase, timeout) or self.reply(phase, timeout)

    def close(self) -> None:
        """Close the connection as it is."""
        if self._client is not None:
            self._client.close()
        self._client = None

    def break_off(self) -> None:
        """End whatever is under way, from another thread."""
        sock = self._client.sock if self._client is not None else None
        if sock is not None:
            with suppress(OSError):  # it is closed already
                sock.shutdown(socket.SHUT_RDWR)


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
