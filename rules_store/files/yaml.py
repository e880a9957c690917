"""YAML text to nodes and plain values to YAML text: the one door to PyYAML.

Nodes are built from the parser's events, not by its composer: so the depth is bounded, an alias
never makes one text stand for a million (a "billion laughs"), and no tag builds an object.
"""

from typing import Any

import yaml

from rules_store.files.nodes import Kind, Listing, Node, NotYaml, Scalar, Table

#: The most bytes a rules file may have. Nodes take some hundred times their text in memory.
LARGEST_FILE = 16 * 1024 * 1024
#: The most levels of lists and mappings in one another; the form needs eight.
DEEPEST = 20

_KINDS = {
    "tag:yaml.org,2002:int": Kind.NUMBER,
    "tag:yaml.org,2002:float": Kind.NUMBER,
    "tag:yaml.org,2002:bool": Kind.FLAG,
    "tag:yaml.org,2002:null": Kind.NOTHING,
    "tag:yaml.org,2002:timestamp": Kind.DATE,
}
_TRUE = frozenset({"yes", "true", "on"})
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def parse_yaml(content: bytes) -> Node | NotYaml:
    """Read one YAML document in UTF-8, or say in which line and why it cannot be read."""
    if len(content) > LARGEST_FILE:
        return NotYaml(1, f"the file has more than {LARGEST_FILE} bytes; split it by tenants")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return NotYaml(content.count(b"\n", 0, error.start) + 1, "not UTF-8")
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=_Loader):
            if reason := builder.take(event):
                return NotYaml(_line(event), reason)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        return NotYaml(mark.line + 1 if mark else 1, f"not YAML: {error.problem}")
    except yaml.YAMLError:
        return NotYaml(1, "not YAML: it holds a character that YAML does not allow")
    return builder.root or NotYaml(1, "the file is empty")


class _Builder:
    """Puts nodes together from events, without recursion."""

    def __init__(self) -> None:
        self.root: Node | None = None
        self._open: list[tuple[yaml.Event, list[Node]]] = []
        self._resolver = _Loader("")

    def take(self, event: yaml.Event) -> str | None:
        """Take the next event; return why it is refused."""
        match event:
            case yaml.AliasEvent():
                return "aliases (*name) are not allowed; write it out"
            case yaml.NodeEvent() if getattr(event, "tag", None):
                return "tags (!name) are not allowed; quote what is text"
            case yaml.DocumentStartEvent() if self.root is not None:
                return "a rules file is one YAML document"
            case yaml.ScalarEvent():
                self._close(self._scalar(event))
            case yaml.CollectionStartEvent():
                self._open.append((event, []))
                if len(self._open) > DEEPEST:
                    return "lists and mappings stand too deep in one another"
            case yaml.CollectionEndEvent():
                self._close(_collection(*self._open.pop()))
        return None

    def _close(self, node: Node) -> None:
        if self._open:
            self._open[-1][1].append(node)
        else:
            self.root = node

    def _scalar(self, event: yaml.ScalarEvent) -> Scalar:
        tag = self._resolver.resolve(yaml.ScalarNode, event.value, event.implicit)
        kind, line = _KINDS.get(tag, Kind.TEXT), _line(event)
        is_true = kind is Kind.FLAG and event.value.lower() in _TRUE
        return Scalar(line, event.value, kind, is_true)


def _collection(start: yaml.Event, parts: list[Node]) -> Node:
    line = _line(start)
    if isinstance(start, yaml.MappingStartEvent):
        return Table(line, tuple(zip(parts[::2], parts[1::2], strict=True)))
    return Listing(line, tuple(parts))


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def write_yaml(value: object) -> str:
    """Return plain values as YAML text; what YAML would not read as text again is quoted."""
    text: str = yaml.dump(
        value,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=1000,
    )
    return text
