"""The gallery in a real browser: every mail is laid out, fits its width, and is dark when asked."""

import re
import struct
import zlib
from collections import Counter
from pathlib import Path

import pytest

from consumer import wiring
from consumer.preview.all import every_mail
from consumer.preview.chromium import Look, read_page, take_picture
from consumer.preview.gallery import sheet
from consumer.settings import load_settings
from schemas.vocabulary import DetailLevel, Language
from tests.builders import a_decision

SETTINGS = load_settings({"PUSH_MAIL_FROM": "konfipay <k@mail.push.example>"})
SHEETS = every_mail(SETTINGS, wiring.renderer(SETTINGS), a_decision().at)
FRAME_HEIGHT = re.compile(r'style="height: (\d+)px')
FULL = SHEETS[DetailLevel.FULL, Language.DE]
LIGHT, DARK = (238, 241, 244), (20, 24, 29)  # the ground of a mail


@pytest.mark.parametrize("look", [Look.LIGHT, Look.PHONE])
def test_every_mail_is_laid_out_within_its_width(
    chromium: Path, tmp_path: Path, look: Look
) -> None:
    page = tmp_path / "sheet.html"
    page.write_text(sheet("full", FULL, look.width), "utf-8")

    frames = re.findall(r"<iframe [^>]*>", read_page(str(chromium), page))

    widths = [int(width) for frame in frames for width in re.findall(r'data-width="(\d+)"', frame)]
    heights = [int(high) for frame in frames for high in FRAME_HEIGHT.findall(frame)]
    assert len(frames) == len(widths) == len(heights) == len(FULL)
    assert max(widths) <= look.width
    assert min(heights) > 700


@pytest.mark.parametrize(("look", "ground"), [(Look.LIGHT, LIGHT), (Look.DARK, DARK)])
def test_a_mail_follows_the_readers_colours(
    chromium: Path, tmp_path: Path, look: Look, ground: tuple[int, int, int]
) -> None:
    page, picture = tmp_path / "mail.html", tmp_path / "mail.png"
    page.write_text(FULL[0].mail.html, "utf-8")

    take_picture(str(chromium), page, picture, look, (look.width, 900))

    assert ground in [colour for colour, _ in colours(picture.read_bytes()).most_common(3)]


def test_a_folder_may_be_named_from_where_one_stands(
    chromium: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    page, picture = Path("mail.html"), Path("mail.png")
    page.write_text(FULL[0].mail.html, "utf-8")

    take_picture(str(chromium), page, picture, Look.LIGHT, (Look.LIGHT.width, 900))

    assert picture.is_file()


def colours(png: bytes) -> Counter[tuple[int, int, int]]:
    """Count the colours of the left edge of a picture of eight bits a channel (RFC 2083)."""
    width, _, _, kind = struct.unpack(">IIBB", png[16:26])
    channels = {2: 3, 6: 4}[kind]
    compressed = b"".join(
        png[found.end() : found.end() + int.from_bytes(png[found.start() - 4 : found.start()])]
        for found in re.finditer(b"IDAT", png)
    )
    raw, line = zlib.decompress(compressed), 1 + width * channels
    counted: Counter[tuple[int, int, int]] = Counter()
    above = (0, 0, 0)
    for at in range(0, len(raw), line):
        left = tuple(raw[at + 1 : at + 4])
        # The first pixel has nothing to its left: filters 2 and 4 add the one above it, 3 half.
        part = {2: above, 4: above, 3: tuple(one // 2 for one in above)}.get(raw[at], (0, 0, 0))
        above = tuple((one + two) % 256 for one, two in zip(left, part, strict=True))  # type: ignore[assignment]  # three
        counted[above] += 1
    return counted
