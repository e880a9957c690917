"""What commands say of rules: changes, a line each, and lists."""

import json
from collections import Counter
from collections.abc import Sequence
from tempfile import SpooledTemporaryFile
from textwrap import indent
from types import TracebackType
from typing import TYPE_CHECKING, Self

import typer

from schemas.subjects import one_line

if TYPE_CHECKING:
    from rules_store.changes import Change, ChangeKind
    from rules_store.files.differences import Difference
    from schemas.rules import Rule

#: Bytes of told changes that are kept in memory; a million rules' are written to a file meanwhile.
_KEPT = 4_000_000


class ToldChanges:
    """Takes changes as they are made and prints them when it is sure that they hold."""

    def __init__(self, *, as_json: bool, dry_run: bool = False) -> None:
        self._as_json = as_json
        self._dry_run = dry_run
        self._counts: Counter[ChangeKind] = Counter()
        self._lines = SpooledTemporaryFile(_KEPT, "w+", encoding="utf-8")  # noqa: SIM115  # see __exit__

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._lines.close()

    def take(self, changes: "Sequence[Change]") -> None:
        """Take some changes."""
        for change in changes:
            self._lines.write(self._told(change))
            self._counts[change.kind] += 1

    def print(self) -> None:
        """Print what was changed, a line each, and the sum; ids and rules' descriptions only."""
        if self._as_json:
            typer.echo("[", nl=False)
        self._lines.seek(0)
        for line in self._lines:
            typer.echo(line, nl=False)
        if self._as_json:
            typer.echo("\n]" if self._counts else "]")
            return
        typer.echo(_sum(self._counts, dry_run=self._dry_run))

    def _told(self, change: "Change") -> str:
        if not self._as_json:
            return f"{change_line(change)}\n"
        comma = "," if self._counts else ""
        return f"{comma}\n{indent(as_json(_plain_change(change)), '  ')}"


def print_changes(changes: "Sequence[Change]", *, as_json: bool, dry_run: bool = False) -> None:
    """Say what was changed, a line each, and the sum; ids and rules' descriptions only."""
    with ToldChanges(as_json=as_json, dry_run=dry_run) as told:
        told.take(changes)
        told.print()


def print_differences(
    different: "Sequence[Difference]", *, as_json: bool, dry_run: bool = False
) -> None:
    """Say what is different, each change with the lines that went and came, and the sum."""
    if as_json:
        print_json([plain_difference(one) for one in different])
        return
    for one in different:
        typer.echo(change_line(one.change))
        for line in one.lines():
            typer.echo(f"  {line[:1]} {line[1:]}")
    typer.echo(_sum(Counter(one.change.kind for one in different), dry_run=dry_run))


def plain_difference(different: "Difference") -> dict[str, object]:
    """Return a change with what the thing was and is, in the form of a rules file."""
    return {
        **_plain_change(different.change),
        "before": different.before,
        "after": different.after,
    }


def _sum(counts: "Counter[ChangeKind]", *, dry_run: bool) -> str:
    from rules_store.changes import ChangeKind

    total = ", ".join(f"{counts[kind]} {kind.value}" for kind in ChangeKind)
    return total + (" (dry run: nothing was changed)" if dry_run else "")


def as_json(value: object) -> str:
    """Return a value as JSON, umlauts as they are."""
    return json.dumps(value, ensure_ascii=False, indent=2)


def print_json(value: object) -> None:
    """Print a value as JSON."""
    typer.echo(as_json(value))


def summary(rule: "Rule") -> dict[str, str]:
    """Return what a list says of a rule."""
    return {
        "tenant": rule.tenant_id,
        "rule": rule.rule_id,
        "enabled": "enabled" if rule.enabled else "disabled",
        "event": rule.trigger.event_type.value,
        "description": one_line(rule.description),
    }


def change_line(change: "Change") -> str:
    """Return what was changed, in a line."""
    named = f"{change.tenant_id}/{change.thing_id}" if change.thing_id else change.tenant_id
    described = f' "{one_line(change.description)}"' if change.description else ""
    return f"{change.kind.value} {change.thing.value} {named}{described}"


def _plain_change(change: "Change") -> dict[str, str]:
    return {
        "change": change.kind,
        "thing": change.thing,
        "tenant": change.tenant_id,
        "id": change.thing_id,
        "description": change.description,
    }
