"""The writer schemas that fuzzed records name: ours, and what producers may make of them."""

import json
from functools import cache
from typing import Any

from consumer.registry import Registry
from schemas.published import text_of

REJECTED, UPDATED = "payment-file-rejected", "payment-status-updated"
OTHERS = ("outgoing-mail", "evaluation")

NESTED: Any = {
    "type": "array",
    "items": {"type": "array", "items": {"type": "map", "values": "string"}},
}
KIND: Any = {"type": "enum", "name": "Kind", "symbols": ["A", "B"]}


def _with(name: str, *before: dict[str, Any], behind: tuple[dict[str, Any], ...] = ()) -> Any:
    declared = json.loads(text_of(name))
    return declared | {"fields": [*before, *declared["fields"], *behind]}


def _record_name(name: str) -> str:
    return str(json.loads(text_of(name))["name"])


@cache
def by_id() -> dict[int, Any]:
    """Return every schema that the registry knows, by its id."""
    declared: list[Any] = []
    for name in (REJECTED, UPDATED):
        declared += [
            json.loads(text_of(name)),
            # fields before the routing fields, which the peek must step over …
            _with(name, {"name": "trace", "type": "string"}, {"name": "version", "type": "long"}),
            # … or cannot, so that fastavro reads in full
            _with(name, {"name": "kind", "type": KIND}, {"name": "extra", "type": NESTED}),
            # far more behind them
            _with(name, behind=({"name": "extra", "type": NESTED, "default": []},)),
            # one that contains itself
            _with(
                name,
                behind=({"name": "before", "type": ["null", json.loads(text_of(name))["name"]]},),
            ),
        ]
    declared += [json.loads(text_of(name)) for name in OTHERS]
    return dict(enumerate(declared, start=1))


#: The ids of the two published schemas; three variants of each follow, then one that is refused.
PLAIN = {REJECTED: 1, UPDATED: 6}


class KnownSchemas(Registry):
    """A registry whose answers are at hand: its HTTP is told elsewhere."""

    def __init__(self) -> None:
        super().__init__("http://registry.example")

    def schema_text(self, path: str) -> str | None:
        """Return a schema's text, or None where the id is not known."""
        kind, _, name = path.removeprefix("schemas/").partition("/")
        if kind != "ids" or int(name) not in by_id():
            return None
        return json.dumps(by_id()[int(name)])
