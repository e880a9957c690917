"""One rule, judged beside what its tenant has: options of a command are checked as files are."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from rules_store.files.dangling import dangling_references
from rules_store.files.fields import Field, Report
from rules_store.files.plain import as_node
from rules_store.files.references import Known
from rules_store.files.rule_fields import read_rule
from rules_store.hints import hints_for
from schemas.rules import Rule, TenantRules


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence about a rule; `key` is the key of a rules file that it is about, "" if none."""

    key: str
    text: str


@dataclass(frozen=True, slots=True)
class Judged:
    """What can be meant by a rule's plain values; no rule where there are faults."""

    rule: Rule | None
    faults: tuple[Said, ...]
    notes: tuple[Said, ...]


def judge_rule(plain: Mapping[str, object], held: TenantRules) -> Judged:
    """Read a rule in the form of a rules file that its tenant is to have, with all faults."""
    report = Report()
    rule = read_rule(Field("", as_node(plain), report), _known(held))
    if report.faults or rule is None:
        return Judged(None, _said(report.faults), ())
    others = tuple(other for other in held.rules if other.rule_id != rule.rule_id)
    with_it = replace(held, rules=(*others, rule))  # last: of two twins, it is the other
    hints = (hint for hint in hints_for(with_it) if hint.rule_id == rule.rule_id)
    return Judged(rule, (), (*_said(report.notes), *(Said(hint.key, hint.text) for hint in hints)))


def _known(held: TenantRules) -> Known:
    return Known(
        tenant_id=held.tenant.tenant_id,
        language=held.tenant.language,
        users=held.users.keys(),
        bank_accounts=held.bank_accounts.keys(),
        names={word.casefold() for user in held.users.values() for word in user.name.split()},
        dangling=dangling_references(held),
    )


def _said(reported: list[tuple[str, int, str]]) -> tuple[Said, ...]:
    parts = (rest.partition(": ") for _, _, rest in reported)
    return tuple(
        Said("" if path == "file" else path, text.removeprefix("note: ")) for path, _, text in parts
    )
