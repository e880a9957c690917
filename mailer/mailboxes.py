"""Mails out of a mailbox file, a Maildir folder or one file a mail, one at a time as bytes."""

from collections.abc import Iterable, Iterator
from pathlib import Path

_MOST = 512 * 1024  # bytes that are kept of a mail; the rest is passed over


def mails_at(place: Path) -> Iterator[bytes]:
    """Yield the mails of a Maildir folder, of an mbox file or of a file that is one mail.

    Raise `OSError` where it cannot be read.
    """
    if place.is_dir():
        for file in sorted(path for sub in ("new", "cur") for path in (place / sub).glob("*")):
            with file.open("rb") as opened:
                yield opened.read(_MOST)
        return
    with place.open("rb") as lines:
        yield from mails_in(lines)


def mails_in(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the mails of an mbox file (RFC 4155), or its one mail; lines keep their ends."""
    mail, size, after_blank = list[bytes](), 0, True
    for line in lines:
        if after_blank and line.startswith(b"From "):
            if mail:
                yield b"".join(mail)
            mail, size = [], 0
        elif size < _MOST:
            mail.append(line[: _MOST - size])
            size += len(line)
        after_blank = not line.strip()
    if mail:
        yield b"".join(mail)
