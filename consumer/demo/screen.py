"""The demo's lines on a terminal, with colours; plain text where there is none (or NO_COLOR)."""

from datetime import timedelta
from io import TextIOWrapper
from typing import TextIO

from rich.console import Console
from rich.text import Text

from consumer.demo.telling import Told, Tone

_STYLES = {Tone.MAIL: "green", Tone.QUIET: "dim", Tone.TROUBLE: "yellow"}


class Screen:
    """Writes one line at a time; nothing that is written is taken for markup."""

    def __init__(self, out: TextIO) -> None:
        if isinstance(out, TextIOWrapper):  # a terminal of another encoding shows ? for our signs
            out.reconfigure(errors="replace")
        self._console = Console(
            file=out, highlight=False, markup=False, emoji=False, soft_wrap=True
        )

    def heading(self, text: str) -> None:
        """Write a line that stands out, after an empty one."""
        self._console.print()
        self._console.print(Text(text, "bold"))

    def line(self, text: str = "", style: str = "") -> None:
        """Write a line."""
        self._console.print(Text(text, style))

    def fact(self, name: str, value: str) -> None:
        """Write a name and its value."""
        self._console.print(Text.assemble(f"  {name:10}", (value, "cyan")))

    def decided(self, after: timedelta, name: str, tenant_id: str, told: Told) -> None:
        """Write what was decided about a record."""
        style = _STYLES[told.tone]
        self._console.print(
            Text.assemble(
                (_clock(after), "dim"),
                (f"{name:24}", "bold"),
                (f"{tenant_id:9}", "cyan"),
                (told.text, style),
            )
        )

    def arrived(self, after: timedelta, recipient: str, subject: str) -> None:
        """Write that a mail came into the inbox."""
        self._console.print(
            Text.assemble((_clock(after), "dim"), "   ✉ ", f"{recipient}  ", (subject, "italic"))
        )

    def refused(self, after: timedelta, recipient: str, reply: str) -> None:
        """Write that the mail server turned a recipient away."""
        self._console.print(
            Text.assemble((_clock(after), "dim"), "   ✗ ", f"{recipient}  ", (reply, "yellow"))
        )


def _clock(after: timedelta) -> str:
    return f"{after.total_seconds():04.1f}s  "
