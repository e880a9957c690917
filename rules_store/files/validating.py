"""Judging what the store holds by what a rules file may say: one line between right and wrong."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rules_store.files.fields import Field, Report
from rules_store.files.plain import as_node
from rules_store.files.raw import RawTenant, raw_tenants
from rules_store.files.tenants import Beside, read_tenant_rules
from rules_store.rows import StoredRows, read_rows
from schemas.vocabulary import Generation

_ANY = Generation(0)  # rows know nothing of generations
_LISTS = {"users": "user", "bank_accounts": "bank account", "rules": "rule"}
_PLACE = re.compile(r"(users|bank_accounts|rules)\[(\d+)\]\.?")
_OF_FILES = re.compile(r"; (first given in line \d+|YAML reads .*|leave the key out .*)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is wrong or odd about a stored thing. `key` leads to it as in a rules file."""

    is_fault: bool
    tenant_id: str
    thing: str  #: tenant, user, bank account or rule
    thing_id: str = ""  #: within the tenant; empty for the tenant itself
    key: str = ""
    text: str
    is_off: bool = False  #: a rule that nobody can mean, so it has disabled itself (R5)

    @property
    def line(self) -> str:
        """Return it as a line for people."""
        named = f"{self.tenant_id}/{self.thing_id}" if self.thing_id else self.tenant_id
        key = f"{self.key}: " if self.key else ""
        note = "" if self.is_fault else "note: "
        return f"{self.thing} {named}: {key}{note}{self.text}"


def findings_in(stored: StoredRows) -> Iterator[Finding]:
    """Return what is wrong or odd in some tenants' rows, tenant by tenant.

    A fault is what a rules file would be refused for, a note what it would be told. References
    that lead nowhere are notes: users and accounts may be deleted under their rules (R10, R22).
    """
    off = {(rule.tenant_id, rule.rule_id): rule for rule in read_rows(_ANY, stored).rejected}
    for rule in off.values():
        text = f"has disabled itself: {rule.reason}"
        yield Finding(
            is_fault=True,
            tenant_id=rule.tenant_id,
            thing="rule",
            thing_id=rule.rule_id,
            text=text,
            is_off=True,
        )
    for raw in raw_tenants(stored):
        report = Report()
        part = Field("", as_node(raw.plain), report)
        read_tenant_rules(part, Beside(gone_may_stay=True))
        for faults, is_fault in ((report.faults, True), (report.notes, False)):
            for _, _, rest in faults:
                yield _finding(raw, rest, is_fault=is_fault)


def _finding(raw: RawTenant, rest: str, *, is_fault: bool) -> Finding:
    path, _, text = rest.partition(": ")
    found = _PLACE.match(path)
    listed = raw.plain[found[1]] if found else []
    assert isinstance(listed, list)
    return Finding(
        is_fault=is_fault,
        tenant_id=raw.tenant_id,
        thing=_LISTS[found[1]] if found else "tenant",
        thing_id=str(listed[int(found[2])]["id"]) if found else "",
        key=path[found.end() :] if found else path.removeprefix("file"),
        text=_OF_FILES.sub("", text.removeprefix("note: ")),
    )
