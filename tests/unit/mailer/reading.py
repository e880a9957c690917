"""Reads a mail's HTML as a client does: its tags, what it shows, and in which colours."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "br", "hr"}
_RULE = re.compile(r"\.(\w+) \{ ([^}]*)\}")
_COLOUR = re.compile(r"(?<![\w-])(background-color|color):\s*(#[0-9a-f]{6})")


@dataclass(frozen=True)
class Shown:
    """A piece of text with the colours it is shown in, and the styles that apply to it."""

    text: str
    ink: str
    ground: str
    style: str


@dataclass
class _Open:
    tag: str
    style: str
    ink: str
    ground: str
    hidden: bool


@dataclass
class Page(HTMLParser):
    """A mail's HTML, read in a light or a dark client."""

    html: str
    dark: bool = False
    tags: list[tuple[str, tuple[tuple[str, str | None], ...]]] = field(default_factory=list)
    shown: list[Shown] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._open = [_Open("", "", "#000000", "#ffffff", hidden=False)]
        dark = self.html.partition("prefers-color-scheme: dark")[2].partition("</style>")[0]
        self._dark_rules = dict(_RULE.findall(dark)) if self.dark else {}
        self.feed(self.html)
        self.close()
        if len(self._open) != 1:
            self.faults.append(f"never closed: {self._open[-1].tag}")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(attrs)))
        given = dict(attrs)
        style = given.get("style") or ""
        for name in (given.get("class") or "").split():
            style += ";" + self._dark_rules.get(name, "")
        colours = dict(_COLOUR.findall(style))
        above = self._open[-1]
        if tag not in VOID:
            self._open.append(
                _Open(
                    tag,
                    style,
                    colours.get("color", above.ink),
                    colours.get("background-color", above.ground),
                    above.hidden or tag in ("head", "style") or "display:none" in style,
                )
            )

    def handle_endtag(self, tag: str) -> None:
        if self._open.pop().tag != tag:
            self.faults.append(f"closed in the wrong order: {tag}")

    def handle_data(self, data: str) -> None:
        last = self._open[-1]
        if data.strip("\n \xa0") and not last.hidden:
            self.shown.append(Shown(" ".join(data.split()), last.ink, last.ground, last.style))

    @property
    def visible_text(self) -> str:
        """Return all text a reader sees, in order."""
        return " ".join(piece.text for piece in self.shown)


def contrast(ink: str, ground: str) -> float:
    """Return the contrast of two colours (WCAG 2.2, relative luminance)."""
    lighter, darker = sorted((_luminance(ink), _luminance(ground)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
