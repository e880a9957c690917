"""YAML text to nodes and plain values to YAML text: the one door to PyYAML.

Nodes are built from the parser's events, not by its composer: so the depth is bounded, an alias
never makes one text stand for a million (a "billion laughs"), and no tag builds an object. And so
a file is read a tenant at a time: a million rules need no more memory than the largest tenant's.
"""

import codecs
from collections.abc import Iterator
from functools import lru_cache
from io import BytesIO
from typing import Any, Protocol

import yaml

from rules_store.files.nodes import Kind, Listing, Node, NotYaml, Part, Rest, Scalar, Table

#: The most characters a tenant may have in a file. Nodes take some hundred times their text.
LARGEST_TENANT = 32 * 1024 * 1024
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
_PLAIN = (True, False)  # how the parser marks a scalar that stands without quotes
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_resolver: Any = _Loader("")


class Readable(Protocol):
    """A file that is open for reading bytes."""

    def read(self, size: int, /) -> bytes:
        """Return up to so many bytes, none at the end."""


def parse_yaml(content: bytes | Readable, main_list: str) -> Iterator[Part | Rest | NotYaml]:
    """Read one YAML document in UTF-8: the parts of its main list one by one, then the rest.

    `main_list` is a key of the document's mapping. Where the text cannot be read, the last thing
    is a `NotYaml`, which says in which line and why.
    """
    text = _Utf8(BytesIO(content) if isinstance(content, bytes) else content)
    builder = _Builder(main_list)
    try:
        parser = _Loader(text)
        while type(event := parser.get_event()) is not yaml.StreamEndEvent:
            if reason := builder.take(event):
                yield NotYaml(_line(event), reason)
                return
            if builder.part is not None:
                yield builder.part
                builder.part = None
    except UnicodeDecodeError:
        yield NotYaml(text.line, "not UTF-8")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        yield NotYaml(mark.line + 1 if mark else 1, f"not YAML: {error.problem}")
    except yaml.YAMLError:
        yield NotYaml(text.line, "not YAML: it holds a character that YAML does not allow")
    else:
        root = builder.root
        yield NotYaml(1, "the file is empty") if root is None else Rest(root)


class _Utf8:
    """Bytes as text, read as the parser asks for it; knows in which line it cannot go on."""

    def __init__(self, content: Readable) -> None:
        self.line = 1
        self._content = content
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()

    def read(self, size: int) -> str:
        """Return up to so many characters, none at the end."""
        while True:
            raw = self._content.read(size)
            try:
                text = self._decoder.decode(raw, final=not raw)
            except UnicodeDecodeError as error:
                self.line += error.object.count(b"\n", 0, error.start)
                raise
            self.line += text.count("\n")
            if text or not raw:
                return text


class _Builder:
    """Puts nodes together from events, without recursion."""

    def __init__(self, main_list: str) -> None:
        self.root: Node | None = None
        self.part: Part | None = None  #: of the main list, just completed
        self._main_list = main_list
        self._parts = 0
        self._began = 0  # where the part that is being read began, in characters
        self._within: list[Node] = []  # what the innermost open collection has so far
        self._open: list[tuple[yaml.Event, list[Node]]] = []

    def take(self, event: Any) -> str | None:
        """Take the next event; return why it is refused."""
        kind = type(event)
        if kind is yaml.ScalarEvent and event.tag is None:
            line, text = event.start_mark.line + 1, event.value
            if event.implicit == _PLAIN:
                node = Scalar(line, text, *_kind_of(text))
            else:
                node = Scalar(line, text)
            if len(self._open) > 2:  # most are; the rest may be parts of the main list
                self._within.append(node)
            else:
                self._close(node)
        elif kind is yaml.SequenceStartEvent or kind is yaml.MappingStartEvent:
            return self._start(event)
        elif kind is yaml.SequenceEndEvent or kind is yaml.MappingEndEvent:
            start, parts = self._open.pop()
            self._within = self._open[-1][1] if self._open else []
            self._close(_collection(start, parts))
        elif kind is yaml.AliasEvent:
            return "aliases (*name) are not allowed; write it out"
        elif kind is yaml.ScalarEvent:
            return "tags (!name) are not allowed; quote what is text"
        elif kind is yaml.DocumentStartEvent and self.root is not None:
            return "a rules file is one YAML document"
        return None

    def _start(self, event: Any) -> str | None:
        if event.tag is not None:
            return "tags (!name) are not allowed; quote what is text"
        if len(self._open) == 2:
            self._began = _index(event)
        self._within = []
        self._open.append((event, self._within))
        if len(self._open) > DEEPEST:
            return "lists and mappings stand too deep in one another"
        if len(self._open) > 2 and _index(event) - self._began > LARGEST_TENANT:
            return f"one tenant has more than {LARGEST_TENANT} characters"
        return None

    def _close(self, node: Node) -> None:
        if not self._open:
            self.root = node
        elif self._is_in_main_list():
            self.part = Part(self._parts, node)
            self._parts += 1
        else:
            self._within.append(node)

    def _is_in_main_list(self) -> bool:
        """Say whether what comes next is a part of the list under the main key."""
        if len(self._open) != 2 or type(self._open[1][0]) is not yaml.SequenceStartEvent:
            return False
        root, around = self._open[0]
        if type(root) is not yaml.MappingStartEvent or len(around) % 2 == 0:
            return False
        return isinstance(around[-1], Scalar) and around[-1].text == self._main_list


@lru_cache(maxsize=4096)
def _kind_of(plain: str) -> tuple[Kind, bool]:
    """Return what YAML takes a word without quotes for, and whether it says true."""
    kind = _KINDS.get(_resolver.resolve(yaml.ScalarNode, plain, _PLAIN), Kind.TEXT)
    return kind, kind is Kind.FLAG and plain.lower() in _TRUE


def _collection(start: yaml.Event, parts: list[Node]) -> Node:
    line = _line(start)
    if type(start) is yaml.MappingStartEvent:
        return Table(line, tuple(zip(parts[::2], parts[1::2], strict=True)))
    return Listing(line, tuple(parts))


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _index(event: yaml.Event) -> int:
    return event.start_mark.index if event.start_mark else 0


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
