"""All mails on pages: every example in each level and language, for people who review wording.

`index.html` leads to a sheet for each level and language; a sheet shows its mails side by side in
frames of their own, as wide as the client that is looked at. Nothing comes from outside.
"""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import product
from typing import NamedTuple

from schemas.mails import OutgoingMail
from schemas.vocabulary import DetailLevel, Language


class Shown(NamedTuple):
    """A mail and the name of what it is about."""

    name: str
    mail: OutgoingMail


Sheets = Mapping[tuple[DetailLevel, Language], Sequence[Shown]]

SHEETS = tuple(product(DetailLevel, Language))
GAP, EDGE, HEAD = 24, 24, 64  # pixels
_STYLE = (
    "body{margin:0;padding:24px;font:15px/22px sans-serif;color:#24313d;background:#c9d2da}"
    "h1{margin:0 0 24px;font-size:22px}a{color:#24567f}"
    "figure{display:inline-block;vertical-align:top;margin:0 24px 24px 0}"
    "figcaption{height:48px;overflow:hidden}iframe{border:0;display:block;background:#fff}"
)
#: A frame is as high as its mail; it allows no script, so only the sheet's own may ask it.
_FIT = (
    "addEventListener('load',()=>{for(const frame of document.querySelectorAll('iframe'))"
    "{const page=frame.contentDocument.documentElement;"
    "frame.style.height=Math.max(page.scrollHeight,200)+'px';"
    "frame.dataset.width=page.scrollWidth}})"
)


def sheet_name(level: DetailLevel, language: Language, width: int) -> str:
    """Return the file of a sheet."""
    return f"sheet.{level}.{language}.{width}.html"


def sheet(title: str, mails: Sequence[Shown], width: int) -> str:
    """Return a page with mails side by side, each so many pixels wide."""
    return _page(title, "".join(_figure(shown, width) for shown in mails), _FIT)


def index(sheets: Sheets, widths: Sequence[int], pictures: Sequence[str]) -> str:
    """Return the page that leads to all sheets, to each mail and to the pictures."""
    return _page("push-services: every mail", "".join(_index(sheets, widths, pictures)))


def _index(sheets: Sheets, widths: Sequence[int], pictures: Sequence[str]) -> Iterator[str]:
    for (level, language), mails in sheets.items():
        links = [
            f'<a href="{sheet_name(level, language, width)}">{width} px</a>' for width in widths
        ]
        links += [
            f'<a href="{escape(name)}">{escape(name.split(".")[3])} picture</a>'
            for name in pictures
            if name.startswith(f"sheet.{level}.{language}.")
        ]
        yield f"<h2>{level}, {language}: {', '.join(links)}</h2><ul>"
        for shown in mails:
            name = escape(mail_name(shown, level, language))
            yield f'<li><a href="{name}.html">{escape(shown.name)}</a>: '
            yield f'{escape(shown.mail.subject)} (<a href="{name}.txt">text</a>, '
            yield f'<a href="{name}.eml">source</a>)</li>'
        yield "</ul>"


def mail_name(shown: Shown, level: DetailLevel, language: Language) -> str:
    """Return what the files of a mail are called, without an ending."""
    return f"{shown.name}.{level}.{language}"


def _figure(shown: Shown, width: int) -> str:
    name = escape(shown.name)
    caption = f"<b>{name}</b><br>{escape(shown.mail.subject)}"
    return (
        f'<figure style="width:{width}px"><figcaption>{caption}</figcaption>'
        f'<iframe width="{width}" height="200" sandbox="allow-same-origin" title="{name}" '
        f'srcdoc="{escape(shown.mail.html)}"></iframe></figure>'
    )


def _page(title: str, body: str, script: str = "") -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>{body}"
        f"<script>{script}</script></body></html>\n"
    )
