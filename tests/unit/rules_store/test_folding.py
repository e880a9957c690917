from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rules_store.changes import Change, ChangeKind, Thing
from rules_store.folding import folded
from rules_store.ports import Version
from schemas.vocabulary import Generation, TenantId

NOON = datetime(2026, 3, 12, 12, tzinfo=UTC)


def a_version(generation: int, kind: ChangeKind = ChangeKind.CHANGED, **changes: Any) -> Version:
    change = Change(kind, Thing.RULE, TenantId("m-1"), "r-1", "R")
    version = Version(Generation(generation), NOON, "anna", None, change)
    return replace(version, **changes)


def test_rows_of_one_change_are_told_as_the_last_of_them() -> None:
    rows = [a_version(3, ChangeKind.CREATED), a_version(4), a_version(5)]

    assert folded(rows) == (a_version(5, ChangeKind.CREATED),)


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(a_version(4, database_user="push"), id="PostgreSQL counts transactions"),
        pytest.param(a_version(4, changed_by="ben"), id="another writer"),
        pytest.param(a_version(4, changed_at=NOON + timedelta(seconds=2)), id="later"),
        pytest.param(a_version(4, ChangeKind.DELETED), id="deleted"),
    ],
)
def test_what_does_not_belong_together_stays_apart(second: Version) -> None:
    first = a_version(3, ChangeKind.CREATED)

    assert folded([first, second]) == (first, second)
