"""What commands say of rules: changes, a line each, and lists."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from schemas.subjects import one_line

if TYPE_CHECKING:
    from rules_store.changes import Change
    from schemas.rules import Rule


def print_json(value: object) -> None:
    """Print a value as JSON, umlauts as they are."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def print_changes(changes: "Sequence[Change]", *, as_json: bool, dry_run: bool) -> None:
    """Say what was changed, a line each, and the sum; ids and rules' descriptions only."""
    from rules_store.changes import ChangeKind

    if as_json:
        print_json([_plain_change(change) for change in changes])
        return
    for change in changes:
        typer.echo(_change_line(change))
    counts = Counter(change.kind for change in changes)
    total = ", ".join(f"{counts[kind]} {kind.value}" for kind in ChangeKind)
    typer.echo(total + (" (dry run: nothing was changed)" if dry_run else ""))


def summary(rule: "Rule") -> dict[str, str]:
    """Return what a list says of a rule."""
    return {
        "tenant": rule.tenant_id,
        "rule": rule.rule_id,
        "enabled": "enabled" if rule.enabled else "disabled",
        "event": rule.trigger.event_type.value,
        "description": one_line(rule.description),
    }


def _change_line(change: "Change") -> str:
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
