"""The tree drawn in `schemas/errors.py` is the tree of its classes."""

import inspect
import re
from itertools import pairwise

import pytest

from schemas import errors
from schemas.errors import Fatal, Permanent, PushError, Temporary

Tree = list[tuple[str, str | None]]  # each class with its parent, sorted

_BRANCH = re.compile(r"^(?P<indent>[│ ]*)(?:[├└]── )?(?P<name>[A-Z]\w+)")


def drawn() -> Tree:
    """Read the tree off the module's docstring: a branch is four signs wide."""
    lines = (inspect.getdoc(errors) or "").splitlines()
    at = lines.index("PushError")
    branches = [(depth_of(line), name_in(line)) for line in lines[at:]]
    above: dict[int, str] = {}
    tree: Tree = []
    for depth, name in branches:
        tree.append((name, above.get(depth - 1)))
        above[depth] = name
    return sorted(tree)


def depth_of(line: str) -> int:
    return (line.index(name_in(line))) // 4


def name_in(line: str) -> str:
    found = _BRANCH.match(line)
    assert found, line
    return found["name"]


def declared() -> Tree:
    """Return every class below `PushError`, wherever it is declared in the module."""
    classes = [
        thing
        for thing in vars(errors).values()
        if inspect.isclass(thing) and issubclass(thing, BaseException)
    ]
    return sorted(
        (c.__name__, None if c is PushError else c.__bases__[0].__name__) for c in classes
    )


def test_the_drawn_tree_is_the_tree_of_the_classes() -> None:
    assert drawn() == declared()


def test_the_classes_stand_in_the_order_of_the_drawing() -> None:
    names = re.findall(r"^class (\w+)\(", inspect.getsource(errors), re.MULTILINE)
    lines = (inspect.getdoc(errors) or "").splitlines()

    assert names == [name_in(line) for line in lines[lines.index("PushError") :]]


@pytest.mark.parametrize("kind", [Temporary, Permanent, Fatal])
def test_every_error_says_what_it_is(kind: type[PushError]) -> None:
    assert all((leaf.__doc__ or "").endswith(".") for leaf in kind.__subclasses__())


def test_a_leafs_docstring_is_its_message() -> None:
    assert str(errors.KafkaLost()) == "The Kafka client can do no more in this process."
    assert str(errors.KafkaLost("fenced")) == "fenced"


def test_each_fatal_error_ends_with_its_exit_code() -> None:
    assert {leaf.__name__: leaf.exit_code for leaf in Fatal.__subclasses__()} == {
        "InvalidSettings": 78,
        "InvalidInput": 1,
        "SchemaOutdated": 78,
        "AccessDenied": 70,
        "KafkaLost": 70,
        "OffsetsLost": 78,
        "TooManyFaults": 70,
    }


def test_the_three_kinds_have_nothing_in_common_but_their_root() -> None:
    kinds = PushError.__subclasses__()

    assert kinds == [Temporary, Permanent, Fatal]
    assert all(not issubclass(a, b) for a, b in pairwise([*kinds, kinds[0]]))
