"""A scripted SMTP server on loopback: says or does anything at any phase, and records what came.

A script names, per phase, what happens at its first, second … occurrence; afterwards, and in every
other phase, the server is friendly. `GREETING` and `CONTENT` are the moments after connecting and
after the final dot.
"""

import socket
import ssl
import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

# For "localhost" and 127.0.0.1, signed by itself, good until 2126; protects nothing.
CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBmzCCAUGgAwIBAgIUEwSCWqjzWcREFT7wxchfoqrqLzUwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNDA4MjIwMloYDzIxMjYxMDMx
MDgyMjAyWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAARf6u4z+BeNvTcJPWoHILB++l3T8jVCO7t0LcNOf7fWLDdZqPp1hs4t
2EN9kITx5ITaKaEjJk+Om7/fGSJVmCRVo28wbTAdBgNVHQ4EFgQUWWtKh58xUSM+
zdASHgW/gPShTocwHwYDVR0jBBgwFoAUWWtKh58xUSM+zdASHgW/gPShTocwGgYD
VR0RBBMwEYIJbG9jYWxob3N0hwR/AAABMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZI
zj0EAwIDSAAwRQIhAJ0gv4J5OjHDqY1g8IrOK1zT1NOPxw89C/J5sI24Od+tAiBC
PLGw8itd526oJH8ZrNBjdsVgs4QE0GjHbNPvG7ajFg==
-----END CERTIFICATE-----
"""
KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgb/aqYUVCPw6kjfcl
P3ZDRvTNzKXSAGUMqxMTfHO0BM2hRANCAARf6u4z+BeNvTcJPWoHILB++l3T8jVC
O7t0LcNOf7fWLDdZqPp1hs4t2EN9kITx5ITaKaEjJk+Om7/fGSJVmCRV
-----END PRIVATE KEY-----
"""


class Moment(Enum):
    """Where in the conversation something happens."""

    GREETING = auto()
    EHLO = auto()
    STARTTLS = auto()
    AUTH = auto()
    MAIL = auto()
    RCPT = auto()
    DATA = auto()
    BODY = auto()  #: after 354 and the first line of content; words here mean "go on"
    CONTENT = auto()
    RSET = auto()
    QUIT = auto()


class Deed(Enum):
    """What the server does instead of saying something."""

    DROP = auto()  #: close the connection
    KEEP_AND_DROP = auto()  #: take the mail, then close: the answer gets lost
    HANG = auto()  #: say nothing until the test ends
    DRIP = auto()  #: say a reply a byte at a time, and never to its end
    KEEP_AND_HANG = auto()  #: take the mail, then say nothing
    SLOW = auto()  #: say the friendly thing, but only after a while


_KEEPING = (Deed.KEEP_AND_DROP, Deed.KEEP_AND_HANG, Deed.SLOW)

Turn = str | Deed
Script = Mapping[Moment, Sequence[Turn]]

_FRIENDLY = {
    Moment.GREETING: "220 fake ESMTP",
    Moment.STARTTLS: "220 2.0.0 go ahead",
    Moment.AUTH: "235 2.7.0 welcome",
    Moment.MAIL: "250 2.1.0 ok",
    Moment.RCPT: "250 2.1.5 ok",
    Moment.DATA: "354 go ahead",
    Moment.BODY: "",
    Moment.CONTENT: "250 2.0.0 queued as 4711",
    Moment.RSET: "250 2.0.0 ok",
    Moment.QUIT: "221 2.0.0 bye",
}


class HungUp(Exception):
    """The conversation is over."""


@dataclass(frozen=True)
class Arrived:
    """A mail that the server took, dots taken off again."""

    sender: str
    recipient: str
    content: bytes


@dataclass
class SmtpFake:
    """The server; `unfinished` holds contents that ended without a final dot."""

    script: Script = field(default_factory=dict)
    features: Sequence[str] = ("SIZE 35882577", "ENHANCEDSTATUSCODES")
    implicit_tls: ssl.SSLContext | None = None
    starttls: ssl.SSLContext | None = None
    host: str = "127.0.0.1"
    arrived: list[Arrived] = field(default_factory=list)
    unfinished: list[bytes] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    connections: int = 0
    bursts: int = 0  #: how often DATA lay there already when MAIL was answered
    slowness: float = 0.05  #: seconds of `SLOW`

    def __post_init__(self) -> None:
        self.turns = {moment: deque(turns) for moment, turns in self.script.items()}
        self.listener = socket.create_server((self.host, 0))
        self.port: int = self.listener.getsockname()[1]
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self._accept)]
        self.threads[0].start()

    def close(self) -> None:
        self.over.set()
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join(10)

    def next_turn(self, moment: Moment) -> Turn:
        turns = self.turns.get(moment)
        return turns.popleft() if turns else _FRIENDLY[moment]

    def _accept(self) -> None:
        while not self.over.is_set():
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._converse, args=(connection,))
            self.threads.append(thread)
            thread.start()

    def _converse(self, connection: socket.socket) -> None:
        session = Session(self, connection)
        try:
            session.run()
        except (HungUp, OSError):
            pass
        finally:
            session.hang_up()


@dataclass
class Session:
    """One connection."""

    fake: SmtpFake
    connection: socket.socket
    sender: str = ""
    recipient: str = ""
    encrypted: bool = False

    def run(self) -> None:
        if self.fake.implicit_tls:
            self._encrypt(self.fake.implicit_tls)
        self.lines: BinaryIO = self.connection.makefile("rb")
        self._take_turn(Moment.GREETING)
        while True:
            self._answer(self._line().decode().rstrip("\r\n"))

    def hang_up(self) -> None:
        if hasattr(self, "lines"):
            self.lines.close()
        self.connection.close()

    def _answer(self, command: str) -> None:
        self.fake.commands.append(command)
        match command.split(" ")[0].upper():
            case "EHLO":
                self._ehlo()
            case "STARTTLS":
                self._starttls()
            case "AUTH":
                self._take_turn(Moment.AUTH)
            case "MAIL":
                self.sender = _address_in(command)
                self.fake.bursts += b"DATA\r\n" in self._lies_there()
                self._take_turn(Moment.MAIL)
            case "RCPT":
                self.recipient = _address_in(command)
                self._take_turn(Moment.RCPT)
            case "DATA":
                self._data()
            case "RSET":
                self._take_turn(Moment.RSET)
            case "QUIT":
                self._take_turn(Moment.QUIT)
                raise HungUp
            case _:
                self._say("502 5.5.1 not known here")

    def _ehlo(self) -> None:
        turns = self.fake.turns.get(Moment.EHLO)
        if turns:
            turn = turns.popleft()
            if turn is not Deed.SLOW:
                self._do(turn)
                return
            self.fake.over.wait(self.fake.slowness)
        offers_tls = self.fake.starttls is not None and not self.encrypted
        lines = ["fake", *self.fake.features, *(["STARTTLS"] if offers_tls else [])]
        marks = ["-"] * (len(lines) - 1) + [" "]
        self._say("\r\n".join(f"250{m}{text}" for m, text in zip(marks, lines, strict=True)))

    def _starttls(self) -> None:
        turn = self._in_time(self.fake.next_turn(Moment.STARTTLS), Moment.STARTTLS)
        self._do(turn)
        if isinstance(turn, str) and turn.startswith("220") and self.fake.starttls:
            self.lines.close()
            self._encrypt(self.fake.starttls)
            self.lines = self.connection.makefile("rb")

    def _encrypt(self, context: ssl.SSLContext) -> None:
        self.connection = context.wrap_socket(self.connection, server_side=True)
        self.encrypted = True

    def _data(self) -> None:
        turn = self._in_time(self.fake.next_turn(Moment.DATA), Moment.DATA)
        self._do(turn)
        if not (isinstance(turn, str) and turn.startswith("354")):
            return
        content = self._content()
        turn = self.fake.next_turn(Moment.CONTENT)
        if turn in (Deed.KEEP_AND_DROP, Deed.KEEP_AND_HANG, Deed.SLOW) or (
            isinstance(turn, str) and turn.startswith("2")
        ):
            self.fake.arrived.append(Arrived(self.sender, self.recipient, content))
        self._do(self._in_time(turn, Moment.CONTENT))

    def _content(self) -> bytes:
        content = b""
        try:
            while (line := self._line()) != b".\r\n":
                content += line[1:] if line.startswith(b".") else line
                if self.fake.turns.get(Moment.BODY):
                    self._interrupt(self.fake.next_turn(Moment.BODY))
        except (HungUp, OSError):
            self.fake.unfinished.append(content)
            raise
        return content

    def _interrupt(self, turn: Turn) -> None:
        """Do something in the middle of the content; whoever refuses it does not keep it."""
        self._do(self._in_time(turn, Moment.BODY))
        if isinstance(turn, str) and turn[:1] in ("4", "5"):
            raise HungUp

    def _lies_there(self) -> bytes:
        """Return what the client has sent already, without waiting for more."""
        if "PIPELINING" not in self.fake.features:
            return b""
        assert isinstance(self.lines, BufferedReader)
        return self.lines.peek()

    def _line(self) -> bytes:
        line = self.lines.readline()
        if not line.endswith(b"\n"):
            raise HungUp
        return line

    def _take_turn(self, moment: Moment) -> None:
        self._do(self._in_time(self.fake.next_turn(moment), moment))

    def _in_time(self, turn: Turn, moment: Moment) -> Turn:
        """Wait where the turn is to be slow, and return what is then said."""
        if turn is not Deed.SLOW:
            return turn
        self.fake.over.wait(self.fake.slowness)
        return _FRIENDLY[moment]

    def _do(self, turn: Turn) -> None:
        if turn in (Deed.HANG, Deed.KEEP_AND_HANG):
            self.fake.over.wait(60)
        if turn is Deed.DRIP:
            self._drip()
        if isinstance(turn, Deed):
            raise HungUp
        if turn:
            self._say(turn)

    def _drip(self) -> None:
        while not self.fake.over.wait(0.02):
            self.connection.sendall(b"2")

    def _say(self, text: str) -> None:
        self.connection.sendall(text.encode() + b"\r\n")


def _address_in(command: str) -> str:
    return command.partition("<")[2].partition(">")[0]


@contextmanager
def smtp_fake(
    script: Script | None = None,
    *,
    features: Sequence[str] = ("SIZE 35882577", "ENHANCEDSTATUSCODES"),
    implicit_tls: bool = False,
    starttls: bool = False,
    host: str = "127.0.0.1",
) -> Iterator[SmtpFake]:
    """Run a server with this script until the block ends."""
    fake = SmtpFake(
        script or {},
        features,
        implicit_tls=_server_context() if implicit_tls else None,
        starttls=_server_context() if starttls else None,
        host=host,
    )
    try:
        yield fake
    finally:
        fake.close()


def _server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "both.pem"
        file.write_text(KEY + CERTIFICATE)
        context.load_cert_chain(file)
    return context


def trusting_context() -> ssl.SSLContext:
    """Return a client's context that trusts this server and nobody else."""
    return ssl.create_default_context(cadata=CERTIFICATE)
