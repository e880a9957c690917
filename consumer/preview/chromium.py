"""Pictures of pages by a Chromium that runs without a screen: the door to it."""

import shutil
import subprocess
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from tempfile import TemporaryDirectory

from schemas.errors import InvalidInput

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_QUIETLY = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--hide-scrollbars", "--force-device-scale-factor=1"),
)
_SECONDS = 90  # a picture takes one or two


class Look(Enum):
    """How a reader's client shows a mail: its width in pixels, and whether it is a dark one."""

    LIGHT = (700, False)
    DARK = (700, True)
    PHONE = (390, False)

    @property
    def width(self) -> int:
        """Return how many pixels a mail has."""
        return self.value[0]

    @property
    def is_dark(self) -> bool:
        """Say whether the client asks for dark colours."""
        return self.value[1]


def find_chromium() -> str | None:
    """Return where Chromium is installed, if it is."""
    return next((found for name in _NAMES if (found := shutil.which(name))), None)


def take_picture(
    chromium: str, page: Path, picture: Path, look: Look, size: tuple[int, int]
) -> None:
    """Write a picture of a page, so many pixels wide and high, or raise `InvalidInput`."""
    with TemporaryDirectory(prefix="push-services-chromium-") as profile:
        _run(
            [
                *(chromium, *_QUIETLY, f"--user-data-dir={profile}"),
                f"--blink-settings=preferredColorScheme={0 if look.is_dark else 1}",
                f"--window-size={size[0]},{size[1]}",
                *("--virtual-time-budget=4000", f"--screenshot={picture.absolute()}"),
                page.absolute().as_uri(),
            ]
        )
    if not picture.is_file():
        raise InvalidInput([f"{chromium}: took no picture of {page}"])


def read_page(chromium: str, page: Path) -> str:
    """Return a page as it stands when its scripts have run, or raise `InvalidInput`."""
    with TemporaryDirectory(prefix="push-services-chromium-") as profile:
        options = (*_QUIETLY, f"--user-data-dir={profile}", "--virtual-time-budget=4000")
        return _run([chromium, *options, "--dump-dom", page.absolute().as_uri()])


def _run(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(  # noqa: S603  the program is the one that was found, the rest ours
            command, capture_output=True, text=True, timeout=_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise InvalidInput([f"{command[0]}: {type(error).__name__}"]) from None
    return done.stdout
