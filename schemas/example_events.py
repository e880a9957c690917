"""Real-looking events, one per status and three refused files: one truth for many uses.

They lie in `examples/` in the plain JSON view that event_from_plain reads, each in a file
`<event type>.<name>.json`. All values are invented.
"""

import json
from functools import cache
from importlib import resources

from schemas.events import PaymentEvent
from schemas.fields import event_from_plain
from schemas.vocabulary import EventType


@cache
def examples_by_name() -> dict[str, PaymentEvent]:
    """Return the examples by file name without `.json`, sorted by it. Not to be changed."""
    folder = resources.files("schemas") / "examples"
    texts = {file.name: file.read_text("utf-8") for file in folder.iterdir()}
    return {name.removesuffix(".json"): _read(name, texts[name]) for name in sorted(texts)}


def example_events() -> tuple[PaymentEvent, ...]:
    """Return all examples, files that were refused first."""
    return tuple(examples_by_name().values())


def _read(name: str, text: str) -> PaymentEvent:
    return event_from_plain(EventType(name.partition(".")[0]), json.loads(text))
