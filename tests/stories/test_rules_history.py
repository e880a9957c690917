"""Somebody asks what was changed, when and by whom, and what is different."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from rules_store.history_tables import generations
from rules_store.sql import engine_for
from tests.stories.command import TWO_TENANTS, Push

YESTERDAY = datetime.now(UTC) - timedelta(days=1)


@pytest.fixture
def edited(push: Push, file: Path) -> Push:
    """Return `push-services` with two tenants that came in yesterday, and one rule edited today."""
    push("rules", "apply", str(file))
    engine = engine_for(os.environ["PUSH_DATABASE_URL"])
    with engine.begin() as connection:
        connection.execute(update(generations).values(changed_at=YESTERDAY))
    engine.dispose()
    push("rules", "edit", "m-1", "r-rejected", "--disabled", "--subject", "Neu")
    return push


def history(push: Push, *words: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(push("rules", "history", *words, "--json").stdout)
    return found


def test_a_rule_has_a_version_for_each_command_that_changed_it(edited: Push) -> None:
    created, changed = history(edited, "m-1", "r-rejected")

    assert (created["change"], changed["change"]) == ("created", "changed")
    assert changed["description"] == "Abgelehnte Dateien"
    assert str(changed["changed_by"]).startswith("push-services rules")


def test_a_tenants_history_has_all_its_things_and_no_other_tenants(edited: Push) -> None:
    versions = history(edited, "m-1")

    things = {(version["thing"], version["id"]) for version in versions}
    assert things == {
        ("tenant", ""),
        ("user", "u-anna"),
        ("user", "u-ben"),
        ("bank account", "acc-1"),
        ("rule", "r-accounts"),
        ("rule", "r-rejected"),
    }
    assert {version["tenant"] for version in versions} == {"m-1"}


def test_a_line_of_the_history_says_generation_time_writer_and_what(edited: Push) -> None:
    last = edited("rules", "history", "m-1", "r-rejected").stdout.splitlines()[-1]

    assert "push-services rules" in last
    assert last.endswith('changed rule m-1/r-rejected "Abgelehnte Dateien"')


def test_what_came_after_a_generation_can_be_asked_for(edited: Push) -> None:
    first = history(edited, "m-1", "r-rejected")[0]["generation"]

    later = history(edited, "m-1", "r-rejected", "--since", str(first))

    assert [version["change"] for version in later] == ["changed"]


def test_two_generations_differ_in_what_was_edited_between_them(edited: Push) -> None:
    created, changed = history(edited, "m-1", "r-rejected")
    before, after = str(created["generation"]), str(changed["generation"])

    told = edited("rules", "diff", "m-1", "--from", before, "--to", after)

    assert told.stdout.splitlines() == [
        'changed rule m-1/r-rejected "Abgelehnte Dateien"',
        "  - enabled: true",
        "  - subject: 'Abgelehnt: {{ rule }}'",
        "  + enabled: false",
        "  + subject: Neu",
        "0 created, 1 changed, 0 deleted",
    ]
    assert edited("rules", "diff", "m-1", "--from", after).stdout.startswith("0 created, 0 changed")


def test_a_tenant_that_is_gone_differs_in_all_it_had(edited: Push) -> None:
    created, _ = history(edited, "m-1", "r-rejected")

    told = edited("rules", "diff", "m-1", "--from", "0", "--to", str(created["generation"]))

    assert told.stdout.splitlines()[-1] == "6 created, 0 changed, 0 deleted"


def test_the_store_differs_from_a_file_in_what_applying_it_would_change(
    edited: Push, file: Path
) -> None:
    file.write_text(TWO_TENANTS.replace("Neu", "Neuer"), "utf-8")

    told = edited("rules", "diff", "m-1", "--file", str(file))

    applied = edited("rules", "apply", "--dry-run", str(file)).stdout.splitlines()
    assert told.stdout.splitlines()[0] == applied[0]
    assert "  + enabled: true" in told.stdout.splitlines()


@pytest.mark.parametrize(
    ("words", "exit_code"),
    [
        pytest.param(("history", "m-9"), 1, id="history of nobody"),
        pytest.param(("history", "m-1", "r-9"), 1, id="history of no rule"),
        pytest.param(("diff", "m-9", "--from", "1"), 1, id="diff of nobody"),
        pytest.param(("diff", "m-1", "--from", "100000"), 1, id="a generation to come"),
        pytest.param(("diff", "m-1"), 2, id="nothing to compare with"),
    ],
)
def test_what_the_history_does_not_know_is_said(
    edited: Push, words: tuple[str, ...], exit_code: int
) -> None:
    told = edited("rules", *words)

    assert (told.exit_code, told.stdout) == (exit_code, "")
