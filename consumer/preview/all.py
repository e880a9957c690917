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
_COLUMNS = 4  # mails side by side
#: Pixels of the longest mail on a phone, with room for a company's lines.
_HIGHEST = {DetailLevel.MINIMAL: 1_200, DetailLevel.STANDARD: 1_800, DetailLevel.FULL: 1_900}
#: What an external reader is shown of: they differ from users in their way out of a rule.
_TOLD_OUTSIDE = ("payment-file-rejected.unknown-account", "payment-status-updated.FIN_REJECTED")


def every_mail(settings: Settings, renderer: Renderer, at: datetime) -> Sheets:
    """Return every example as a user would get it, and some as an external reader would."""
    return {
        (level, language): tuple(_sheet(settings, renderer, at, level, language))
        for level, language in SHEETS
    }


def _sheet(
    settings: Settings, renderer: Renderer, at: datetime, level: DetailLevel, language: Language
) -> Iterator[Shown]:
    examples = examples_by_name()
    inside = [(name, name, Audience.INTERNAL) for name in examples]
    outside = [(f"{name}.external", name, Audience.EXTERNAL) for name in _TOLD_OUTSIDE]
    for title, name, audience in (*inside, *outside):
        rules = sample_rules(examples[name].tenant_id, level, language, audience)
        previewer = Previewer(settings=settings, renderer=renderer, rules=rules, at=at)
        for mail in previewer.mails(examples[name]):
            yield Shown(title, mail)


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
            size = _size(len(mails), level, look.width)
            take_picture(chromium, page, folder / picture, look, size)
            yield picture


def _size(mails: int, level: DetailLevel, width: int) -> tuple[int, int]:
    rows = -(-mails // _COLUMNS)
    wide = 2 * gallery.EDGE + _COLUMNS * (width + gallery.GAP) + gallery.GAP
    return wide, 2 * gallery.EDGE + gallery.HEAD + rows * (
        _HIGHEST[level] + gallery.HEAD + gallery.GAP
    )
