"""Previews as files: of each mail its HTML, its text and its source."""

from collections.abc import Iterator
from pathlib import Path

from mailer.mime import mime_bytes
from schemas.mails import OutgoingMail


def write_mail(folder: Path, name: str, mail: OutgoingMail) -> Iterator[Path]:
    """Write `NAME.html`, `NAME.txt` and `NAME.eml`, and return where they lie."""
    folder.mkdir(parents=True, exist_ok=True)
    for ending, content in (
        ("html", mail.html.encode()),
        ("txt", mail.text.encode()),
        ("eml", mime_bytes(mail)),
    ):
        path = folder / f"{name}.{ending}"
        path.write_bytes(content)
        yield path
