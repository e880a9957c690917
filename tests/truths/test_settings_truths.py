"""What lists and descriptions claim about settings and log lines is so."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import get_args

import pytest

from consumer.logs import LogAction
from consumer.settings import FIELDS, SETTING_NAMES, Settings, is_setting, load_settings
from consumer.settings_documents import example_env, settings_table

ROOT = Path(__file__).parents[2]
FOLDERS = ("consumer", "mailer", "rules_store", "schemas")


def source_files() -> list[Path]:
    return sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def log_calls() -> Iterator[tuple[str, ast.expr]]:
    """Return `file:line` and the text of each call of a logger's method."""
    for path in source_files():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            text = logged_text(node)
            if text is not None:
                yield f"{path.relative_to(ROOT)}:{text.lineno}", text


def logged_text(node: ast.AST) -> ast.expr | None:
    match node:
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id=name), attr=method), args=[text, *more]
        ) if name == "logging" or name.endswith("logger"):
            levels = {"debug", "info", "warning", "error", "exception", "critical"}
            if method in levels:
                return text
            return more[0] if method == "log" and more else None
    return None


def actions_of(text: ast.expr) -> list[str]:
    """Return the actions that an expression may be; an empty one for what is not fixed."""
    match text:
        case ast.Constant(value=str(action)):
            return [action]
        case ast.IfExp(body=one, orelse=other):
            return [*actions_of(one), *actions_of(other)]
    return [""]


@cache
def calls() -> list[tuple[str, str]]:
    """Return `file:line` and the action of each log call; reading all files takes its time."""
    return [(place, action) for place, text in log_calls() for action in actions_of(text)]


def test_the_text_of_a_log_line_is_a_fixed_action() -> None:
    assert [
        place for place, action in calls() if not re.fullmatch(r"[a-z]+(_[a-z]+)+|[a-z]+", action)
    ] == []


def test_every_action_that_is_logged_is_in_the_list_and_no_other() -> None:
    logged = {action for _, action in calls()} | {"library_log"}  # given to lines of libraries

    assert sorted(logged) == sorted(get_args(LogAction))


def test_the_list_of_actions_is_sorted_and_names_each_once() -> None:
    assert list(get_args(LogAction)) == sorted(set(get_args(LogAction)))


def test_the_example_of_settings_is_valid_as_it_is() -> None:
    lines = [line for line in example_env().splitlines() if line.startswith("PUSH_")]

    assert load_settings(dict(line.split("=", 1) for line in lines)).mail_from


def test_the_example_names_every_setting() -> None:
    named = re.findall(r"^#?(PUSH_[A-Z_]+)=", example_env(), re.MULTILINE)

    assert set(named) >= SETTING_NAMES
    assert [name for name in named if not is_setting(name)] == []


@pytest.mark.parametrize("field", FIELDS)
def test_every_setting_has_its_sentence(field: str) -> None:
    description = Settings.model_fields[field].description

    assert description
    assert not description.endswith(".")  # the table adds it


def test_the_table_has_a_row_for_every_setting() -> None:
    assert (
        set(re.findall(r"^\| `(PUSH_[A-Z_]+)` ", settings_table(), re.MULTILINE)) == SETTING_NAMES
    )
