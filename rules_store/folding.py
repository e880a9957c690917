"""Versions of one thing that belong together, told as one.

In SQLite each changed row is a generation, so a command that writes a rule with its statuses and
recipients makes several; in PostgreSQL a transaction is one, and nothing is folded.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from rules_store.changes import ChangeKind, Thing
from rules_store.ports import Version

#: Rows that one writer changes within this time are taken for one change.
TOGETHER = timedelta(seconds=1)


def folded(versions: Iterable[Version]) -> tuple[Version, ...]:
    """Return the versions, in their order, those that belong together as the last of them."""
    told: list[Version] = []
    last_of: dict[tuple[Thing, str], int] = {}  # where in `told` a thing's last version is
    for version in versions:
        named = (version.change.thing, version.change.thing_id)
        at = last_of.get(named)
        if at is not None and _belongs(told[at], version):
            kind = told[at].change.kind
            told[at] = replace(version, change=replace(version.change, kind=kind))
        else:
            last_of[named] = len(told)
            told.append(version)
    return tuple(sorted(told, key=lambda version: version.generation))


def _belongs(before: Version, version: Version) -> bool:
    return (
        version.database_user is None
        and version.change.kind is ChangeKind.CHANGED
        and before.change.kind is not ChangeKind.DELETED
        and version.changed_by == before.changed_by
        and version.changed_at - before.changed_at <= TOGETHER
    )
