"""What a measurement ends with: one JSON line a figure, and an exit code that says if all held."""

import json
import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value and the bar it is held to; without a bar it is only told."""

    name: str
    value: float
    bar: str = ""  #: as a person reads it: "<= 2.5", ">= 0.5"
    ok: bool = True

    @property
    def line(self) -> str:
        """Return the figure as a line of JSON."""
        bar = self.bar or None
        return json.dumps({"name": self.name, "value": self.value, "bar": bar, "ok": self.ok})


def at_most(name: str, value: float, bar: float) -> Figure:
    """Return a figure that holds up to the bar."""
    return Figure(name, _rounded(value), f"<= {bar:g}", value <= bar)


def at_least(name: str, value: float, bar: float) -> Figure:
    """Return a figure that holds from the bar on."""
    return Figure(name, _rounded(value), f">= {bar:g}", value >= bar)


def told(name: str, value: float) -> Figure:
    """Return a figure without a bar."""
    return Figure(name, _rounded(value))


def report(figures: Iterable[Figure]) -> int:
    """Print the figures and return the exit code: 1 where one does not hold."""
    every = list(figures)
    for figure in every:
        print(figure.line, flush=True)
    return 0 if all(figure.ok for figure in every) else 1


def spread(values: Sequence[float]) -> str:
    """Return median and range of several runs, for the lines before the figures."""
    middle = statistics.median(values)
    return f"{_rounded(middle):g} [{_rounded(min(values)):g}-{_rounded(max(values)):g}]"


def machine() -> str:
    """Return what the figures were measured on, in a line."""
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    return f"Python {platform.python_version()}, {os.cpu_count()} processors, load {load}"


def _rounded(value: float) -> float:
    """Keep four digits: more would pretend to a precision that no measurement here has."""
    return float(f"{value:.4g}")
