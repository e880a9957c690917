"""The gallery as files: every mail, its sheets, and pictures where Chromium is installed."""

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from consumer.preview import gallery
from consumer.preview.chromium import Look, find_chromium, take_picture
from consumer.preview.gallery import SHEETS, Sheets, Shown
from consumer.preview.mails import Previewer, sample_rules
from consumer.preview.writing import write_mail
from consumer.settings import Settings
from mailer.rendering import Renderer
from schemas.example_events import examples_by_name
from schemas.vocabulary import Audience, DetailLevel, Language

_WIDTHS = tuple(sorted({look.width for look in Look}))
_COLUMNS, _HIGHEST = 4, 1_900  # mails side by side, and pixels of the longest


def every_mail(settings: Settings, renderer: Renderer, at: datetime) -> Sheets:
    """Return every example as its reader would get it, by level and language."""
    return {
        (level, language): tuple(_sheet(settings, renderer, at, level, language))
        for level, language in SHEETS
    }


def _sheet(
    settings: Settings, renderer: Renderer, at: datetime, level: DetailLevel, language: Language
) -> Iterator[Shown]:
    for name, event in examples_by_name().items():
        rules = sample_rules(event.tenant_id, level, language, Audience.INTERNAL)
        previewer = Previewer(settings=settings, renderer=renderer, rules=rules, at=at)
        for mail in previewer.mails(event):
            yield Shown(name, mail)


def write_gallery(sheets: Sheets, folder: Path, told: Callable[[str], None]) -> Path:
    """Write all pages into a folder and return the first; `told` hears of what takes its time."""
    for (level, language), mails in sheets.items():
        for shown in mails:
            list(write_mail(folder, gallery.mail_name(shown, level, language), shown.mail))
        for width in _WIDTHS:
            page = folder / gallery.sheet_name(level, language, width)
            page.write_text(gallery.sheet(f"{level}, {language}", mails, width), "utf-8")
    chromium = find_chromium()
    if chromium is None:
        told("Chromium is not installed: no pictures (Debian: apt-get install chromium)")
    pictures = [] if chromium is None else list(_pictures(chromium, sheets, folder, told))
    first = folder / "index.html"
    first.write_text(gallery.index(sheets, _WIDTHS, pictures), "utf-8")
    return first


def _pictures(
    chromium: str, sheets: Sheets, folder: Path, told: Callable[[str], None]
) -> Iterator[str]:
    for (level, language), mails in sheets.items():
        for look in Look:
            page = folder / gallery.sheet_name(level, language, look.width)
            picture = f"sheet.{level}.{language}.{look.name.lower()}.png"
            told(picture)
            take_picture(chromium, page, folder / picture, look, _size(len(mails), look.width))
            yield picture


def _size(mails: int, width: int) -> tuple[int, int]:
    rows = -(-mails // _COLUMNS)
    wide = 2 * gallery.EDGE + _COLUMNS * (width + gallery.GAP) + gallery.GAP
    return wide, 2 * gallery.EDGE + gallery.HEAD + rows * (_HIGHEST + gallery.HEAD + gallery.GAP)
