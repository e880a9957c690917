"""Templates made flat when they are compiled: no parents, blocks, macros or constants are left.

People write templates with `{% extends %}`, blocks, macros out of `{% from … import … %}` and
constants; each of these costs time in every mail. The syntax tree that is left says the same byte
for byte (a test compares it with ordinary Jinja), in a quarter of the time (email.md, section 10).
What this does not know stops the start: it is never guessed.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NoReturn, TypeVar

from jinja2 import nodes
from jinja2.exceptions import TemplateAssertionError

T = TypeVar("T", nodes.Template, nodes.Block)
N = TypeVar("N", bound=nodes.Node)
Parse = Callable[[str], nodes.Template]  # name of a template → its tree, or TemplateNotFound

_DEEPEST = 10  # parents of parents, or macros in macros


@dataclass(frozen=True, slots=True)
class _Named:
    """What a file defines for itself and for those who import it."""

    macros: dict[str, nodes.Macro]
    constants: dict[str, nodes.Const]


class Flattener:
    """Makes the templates of one environment flat; each file is read once."""

    def __init__(self, parse: Parse) -> None:
        self._parse = cache(parse)
        self._names_of = cache(self._read_names)

    def flattened(self, name: str) -> nodes.Template:
        """Return the tree of a template in which only output, conditions and loops are left.

        Raise `TemplateAssertionError` for what cannot be made flat, by file and line.
        """
        lineage = list(self._lineage(name))
        blocks: dict[str, nodes.Block] = {}
        for file, tree in lineage:
            for block in tree.find_all(nodes.Block):
                if block.name not in blocks:
                    blocks[block.name] = self._settled(block, file)
        file, tree = lineage[-1]
        root = self._settled(tree, file)
        root.body = _merged(_without_blocks(root.body, blocks))
        return root

    def _lineage(self, name: str) -> Iterator[tuple[str, nodes.Template]]:
        for _ in range(_DEEPEST):
            tree = self._parse(name)
            yield name, tree
            extends = tree.find(nodes.Extends)
            if extends is None:
                return
            _refuse_what_a_child_would_lose(tree, name)
            name = _constant_name(extends.template, name)
        _refuse("it extends itself", tree, name)

    def _settled(self, node: T, file: str) -> T:
        """Return a copy of a template or block with its file's macros and constants put in."""
        names = self._names_of(file)
        defined = (nodes.Macro, nodes.Assign, nodes.FromImport, nodes.Extends)
        copy = _copied(node)
        said = [part for part in copy.body if not isinstance(part, defined)]
        copy.body = _inlined(said, names, file, _DEEPEST)
        _put_in(copy, names.constants)
        return copy

    def _read_names(self, file: str) -> _Named:
        """Return what a file defines, and what it imports."""
        names = _Named({}, {})
        for node in self._parse(file).body:
            if isinstance(node, nodes.Macro):
                names.macros[node.name] = node
            elif isinstance(node, nodes.Assign):
                names.constants[_target(node, file)] = _constant(node, file)
            elif isinstance(node, nodes.FromImport):
                self._import(node, file, names)
        return names

    def _import(self, node: nodes.FromImport, file: str, names: _Named) -> None:
        other = _constant_name(node.template, file)
        theirs = self._names_of(other)
        for asked in node.names:
            if not isinstance(asked, str) or asked not in {*theirs.macros, *theirs.constants}:
                _refuse(f"{other} has no {asked}", node, file)
            if asked in theirs.constants:
                names.constants[asked] = theirs.constants[asked]
            else:
                names.macros[asked] = self._settled_macro(theirs.macros[asked], other)

    def _settled_macro(self, macro: nodes.Macro, file: str) -> nodes.Macro:
        names, copy = self._names_of(file), _copied(macro)
        copy.body = _inlined(copy.body, names, file, _DEEPEST)
        _put_in(copy, names.constants)
        return copy


def _refuse_what_a_child_would_lose(tree: nodes.Template, name: str) -> None:
    """Refuse a child's output outside its blocks: Jinja would drop it without a word."""
    for node in tree.body:
        blank = isinstance(node, nodes.Output) and all(
            isinstance(part, nodes.TemplateData) and not part.data.strip() for part in node.nodes
        )
        if not blank and not isinstance(
            node, nodes.Extends | nodes.Block | nodes.FromImport | nodes.Macro
        ):
            _refuse("it stands outside of the blocks", node, name)


def _without_blocks(body: list[nodes.Node], blocks: Mapping[str, nodes.Block]) -> list[nodes.Node]:
    flat: list[nodes.Node] = []
    for node in body:
        if isinstance(node, nodes.Block):
            flat += _without_blocks(blocks[node.name].body, blocks)
            continue
        for field, inner in _bodies(node):
            setattr(node, field, _merged(_without_blocks(inner, blocks)))
        flat.append(node)
    return flat


def _bodies(node: nodes.Node) -> Iterator[tuple[str, list[nodes.Node]]]:
    """Return the statements that a condition or a loop holds, by field."""
    for field in ("body", "elif_", "else_"):
        if isinstance(inner := getattr(node, field, None), list):
            yield field, inner


def _inlined(body: list[nodes.Node], names: _Named, file: str, depth: int) -> list[nodes.Node]:
    """Return statements with each `{{ macro(…) }}` replaced by what the macro says."""
    flat: list[nodes.Node] = []
    for node in body:
        if isinstance(node, nodes.Output):
            for part in node.nodes:
                flat += _part(part, names, file, depth)
            continue
        if not isinstance(node, nodes.If | nodes.For | nodes.Block):
            _refuse(f"{type(node).__name__} cannot stand here", node, file)
        for field, inner in _bodies(node):
            setattr(node, field, _inlined(inner, names, file, depth))
        flat.append(node)
    return flat


def _part(part: nodes.Expr, names: _Named, file: str, depth: int) -> list[nodes.Node]:
    if (
        isinstance(part, nodes.Call)
        and isinstance(part.node, nodes.Name)
        and part.node.name in names.macros
    ):
        if depth == 0:
            _refuse("a macro calls itself", part, file)
        macro = _copied(names.macros[part.node.name])
        _put_in(macro, _arguments(part, macro, file))
        return _inlined(macro.body, names, file, depth - 1)
    return [nodes.Output([part], lineno=part.lineno, environment=part.environment)]


def _arguments(call: nodes.Call, macro: nodes.Macro, file: str) -> dict[str, nodes.Expr]:
    """Return what stands for each parameter; one that is an expression stays one, escaped."""
    parameters = [argument.name for argument in macro.args]
    given = dict(zip(parameters, call.args, strict=False))
    given |= {pair.key: pair.value for pair in call.kwargs}
    first = len(parameters) - len(macro.defaults)
    for parameter, default in zip(parameters[first:], macro.defaults, strict=True):
        given.setdefault(parameter, default)
    strange = call.dyn_args or call.dyn_kwargs or len(call.args) > len(parameters)
    if strange or set(given) != set(parameters):
        _refuse(f"{macro.name} takes {', '.join(parameters)}", call, file)
    captured = {name.name for loop in macro.find_all(nodes.For) for name in _names(loop.target)}
    if captured & {name.name for value in given.values() for name in _names(value)}:
        _refuse(f"{macro.name} has a loop over a name that it is given", call, file)
    return given


def _names(node: nodes.Node) -> Iterator[nodes.Name]:
    if isinstance(node, nodes.Name):
        yield node
    yield from node.find_all(nodes.Name)


def _put_in(tree: nodes.Node, values: Mapping[str, nodes.Expr]) -> None:
    """Replace names by what stands for them, everywhere below a node."""
    if not values:
        return
    for field, value in tree.iter_fields():
        if isinstance(value, list):
            setattr(tree, field, [_replaced(part, values) for part in value])
        elif isinstance(value, nodes.Node):
            setattr(tree, field, _replaced(value, values))


def _replaced(part: Any, values: Mapping[str, nodes.Expr]) -> Any:
    if isinstance(part, nodes.Name) and part.ctx == "load" and part.name in values:
        return _copied(values[part.name])
    if isinstance(part, nodes.Node):
        _put_in(part, values)
    return part


def _merged(body: list[nodes.Node]) -> list[nodes.Node]:
    """Return statements with neighbouring outputs as one: Jinja joins constant text within one."""
    merged: list[nodes.Node] = []
    for node in body:
        last = merged[-1] if merged else None
        if isinstance(node, nodes.Output) and isinstance(last, nodes.Output):
            last.nodes = [*last.nodes, *node.nodes]
        else:
            merged.append(node)
    return merged


def _copied(node: N) -> N:
    """Return a copy that shares no node; copy.deepcopy would copy the whole environment, too."""
    copy = object.__new__(type(node))
    for name, value in vars(node).items():
        if isinstance(value, list):
            part: object = [_copied(v) if isinstance(v, nodes.Node) else v for v in value]
        else:
            part = _copied(value) if isinstance(value, nodes.Node) else value
        setattr(copy, name, part)
    return copy


def _constant_name(node: nodes.Expr, file: str) -> str:
    if isinstance(node, nodes.Const) and isinstance(node.value, str):
        return node.value
    return _refuse("the other file is named by a plain text only", node, file)


def _constant(node: nodes.Assign, file: str) -> nodes.Const:
    if isinstance(node.node, nodes.Const):
        return node.node
    return _refuse("only a plain text can be set", node, file)


def _target(node: nodes.Assign, file: str) -> str:
    if isinstance(node.target, nodes.Name):
        return node.target.name
    return _refuse("only a plain name can be set", node, file)


def _refuse(complaint: str, node: nodes.Node, file: str) -> NoReturn:
    raise TemplateAssertionError(complaint, node.lineno, file)
