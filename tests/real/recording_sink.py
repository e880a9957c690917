"""An SMTP server in a process of its own that takes every mail and writes down what came.

A line a mail: seconds, its Message-ID's mail id, SHA-256 of its bytes. It answers each packet after
a delay, as a server does that is so far away; RFC 2920 is offered. It needs no service.
"""

import argparse
import asyncio
import hashlib
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TextIO

from tests.real.processes import Process
from tests.real.push_services import clean_environment
from tests.real.waiting import LOOPBACK, free_port, listens, wait_until

_MESSAGE_ID = re.compile(rb"(?mi)^Message-ID:\s*<([^@>\s]+)@")
_EHLO = b"250-sink\r\n250-PIPELINING\r\n250-SIZE 10000000\r\n250 ENHANCEDSTATUSCODES\r\n"
_ANSWERS = {
    b"MAIL": b"250 2.1.0 ok\r\n",
    b"RCPT": b"250 2.1.5 ok\r\n",
    b"RSET": b"250 2.0.0 ok\r\n",
    b"NOOP": b"250 2.0.0 ok\r\n",
    b"QUIT": b"221 2.0.0 bye\r\n",
    b"HELO": b"250 sink\r\n",
    b"EHLO": _EHLO,
}


class Conversation(asyncio.Protocol):
    """One connection; what a packet asks for is answered together, after the delay."""

    def __init__(self, delay: float, file: TextIO) -> None:
        self.delay, self.file = delay, file
        self.buffer = b""
        self.in_content = False
        self.transport: asyncio.Transport | None = None
        self.answers: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._answer(b"220 sink ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        answers = b"".join(self._read())
        if answers:
            self._answer(answers)

    def _read(self) -> Iterator[bytes]:
        while True:
            end = b"\r\n.\r\n" if self.in_content else b"\r\n"
            part, found, rest = self.buffer.partition(end)
            if not found:
                return
            self.buffer = rest
            if self.in_content:
                self.in_content = False
                yield self._take(part + b"\r\n")
                continue
            verb = part[:4].upper()
            self.in_content = verb == b"DATA"
            yield b"354 go ahead\r\n" if self.in_content else _ANSWERS.get(verb, b"502 what\r\n")

    def _take(self, content: bytes) -> bytes:
        match = _MESSAGE_ID.search(content)
        name = match[1].decode() if match else "?"
        digest = hashlib.sha256(content).hexdigest()
        self.file.write(f"{time.monotonic():.6f} {name} {digest}\n")
        return b"250 2.0.0 taken\r\n"

    def _answer(self, answer: bytes) -> None:
        self.answers.append(answer)
        if self.delay:
            asyncio.get_running_loop().call_later(self.delay, self._send)
        else:
            self._send()

    def _send(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(self.answers.pop(0))


async def serve(port: int, delay: float, path: str) -> None:
    """Take mails until ended. Each line is in the file before its 250 goes out."""
    with Path(path).open("a", buffering=1) as file:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: Conversation(delay, file), LOOPBACK, port, backlog=512
        )
        async with server:
            await server.serve_forever()


class Taken(NamedTuple):
    """A mail that came."""

    at: float
    mail_id: str
    digest: str


@dataclass(frozen=True, slots=True)
class RecordingSink:
    """The running server."""

    port: int
    file: Path
    process: Process

    def taken(self) -> list[Taken]:
        """Return what came, in its order."""
        lines = self.file.read_text().splitlines()
        return [Taken(float(at), mail_id, digest) for at, mail_id, digest in map(str.split, lines)]

    def copies(self) -> Counter[str]:
        """Return how often each mail came."""
        return Counter(one.mail_id for one in self.taken())

    def count(self) -> int:
        """Return how many mails came, copies counted."""
        return self.file.read_bytes().count(b"\n")

    def wait_for(self, count: int, within: float) -> None:
        """Wait until so many mails came."""
        wait_until(lambda: self.count() >= count, f"{count} mails at the sink", within)


@contextmanager
def recording_sink(folder: Path, delay: float = 0.0) -> Iterator[RecordingSink]:
    """Run a server on a free loopback port until the block ends."""
    port, file = free_port(), folder / "taken.txt"
    folder.mkdir(parents=True, exist_ok=True)
    file.touch()
    arguments = ["--port", str(port), "--delay", str(delay), "--file", str(file)]
    process = Process(
        command=[sys.executable, "-m", "tests.real.recording_sink", *arguments],
        folder=folder,
        environment=clean_environment(),
    )
    process.start()
    try:
        wait_until(lambda: listens(port), "the sink listens", 20)
        yield RecordingSink(port, file, process)
    finally:
        process.end()


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--file", required=True)
    given = parser.parse_args()
    asyncio.run(serve(given.port, given.delay, given.file))


if __name__ == "__main__":
    main()
