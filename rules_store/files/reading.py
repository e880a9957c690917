"""Rules files to rules: everything that is wrong is found, in all files at once.

The form is public and versioned; `rules_store/rules.schema.json` describes it for editors, this is
what decides.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rules_store.files.fields import Field, Report, quoted
from rules_store.files.nodes import Kind, NotYaml, Scalar
from rules_store.files.rule_fields import Dangling, Known, read_rule
from rules_store.files.tenant_fields import (
    read_bank_account,
    read_by_id,
    read_tenant,
    read_user,
)
from rules_store.files.yaml import parse_yaml
from schemas.errors import InvalidInput
from schemas.rules import Rule, TenantRules
from schemas.vocabulary import TenantId

VERSION = "1"


@dataclass(frozen=True, slots=True)
class RulesFile:
    """A file's name, as faults give it, and its bytes."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class FiledRules:
    """What the files say, in their order, and what is worth a word about them."""

    tenants: tuple[TenantRules, ...]
    notes: tuple[str, ...] = ()


def read_rules_files(files: Sequence[RulesFile], dangling: Dangling | None = None) -> FiledRules:
    """Return what all files say together, or raise `InvalidInput` with every fault.

    A fault is one line, `FILE:LINE: path.to.field: what is wrong`. It quotes the wrong word and
    says what is allowed; addresses, IBANs and names of people are never quoted. `dangling` are
    references to users and accounts that are gone but stay in their rule.
    """
    reader = _Reader(dangling or {})
    tenants = [tenant for file in files for tenant in reader.read(file)]
    if reader.report.faults:
        raise InvalidInput(reader.report.fault_lines())
    return FiledRules(tuple(tenants), reader.report.note_lines())


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads files one after another and remembers where it has seen which tenant."""

    dangling: Dangling
    report: Report = field(default_factory=Report)
    seen: dict[str, str] = field(default_factory=dict)

    def read(self, file: RulesFile) -> Iterator[TenantRules]:
        node = parse_yaml(file.content)
        if isinstance(node, NotYaml):
            self.report.faults.append((file.name, node.line, f"file: {node.reason}"))
            return
        fields = Field(file.name, "", node, self.report).keys(("version", "tenants"), ())
        if "version" in fields:
            _check_version(fields["version"])
        for part in (fields["tenants"].parts() or ()) if "tenants" in fields else ():
            if (tenant_rules := self._tenant(part)) is not None:
                yield tenant_rules

    def _tenant(self, part: Field) -> TenantRules | None:
        fields = part.keys(
            ("id", "name"), ("language", "time_zone", "users", "bank_accounts", "rules")
        )
        tenant = read_tenant(fields)
        self._see(fields.get("id"))
        users = read_by_id(fields.get("users"), read_user)
        accounts = read_by_id(fields.get("bank_accounts"), read_bank_account)
        names = {word.casefold() for user in users.values() if user for word in user.name.split()}
        tenant_id = tenant.tenant_id if tenant else TenantId("")
        known = Known(tenant_id, users.keys(), accounts.keys(), names, self.dangling)
        rules = _rules(fields.get("rules"), known)
        if tenant is None:
            return None
        return TenantRules(
            tenant=tenant,
            users={user.user_id: user for user in users.values() if user},
            bank_accounts={found.account_id: found for found in accounts.values() if found},
            rules=tuple(sorted(rules, key=lambda rule: rule.rule_id)),
        )

    def _see(self, place: Field | None) -> None:
        if place is None or not isinstance(place.node, Scalar):
            return
        tenant_id = place.node.text
        if tenant_id in self.seen:
            place.fault(f"duplicate tenant {quoted(tenant_id)}; it is in {self.seen[tenant_id]}")
        else:
            self.seen[tenant_id] = f"{place.file}:{place.node.line}"


def _check_version(version: Field) -> None:
    node = version.node
    if not isinstance(node, Scalar) or node.kind is not Kind.NUMBER or node.text != VERSION:
        shown = quoted(node.text) if isinstance(node, Scalar) else "this"
        version.fault(f"unknown version {shown}; allowed: {VERSION}")


def _rules(listing: Field | None, known: Known) -> list[Rule]:
    """Return a tenant's rules; no two have one id or one description."""
    rules: list[Rule] = []
    ids: dict[str, int] = {}
    descriptions: dict[str, int] = {}
    for part in (listing.parts() or ()) if listing else ():
        rule = read_rule(part, known)
        own = dict(part.entries())
        is_new = _see_once(own.get("description"), "description", descriptions)
        if "id" in own or (is_new and rule is None):
            _see_once(own.get("id"), "id", ids)
        elif is_new and rule is not None:
            _see_default_id(rule, part, ids)
        if rule is not None:
            rules.append(rule)
    return rules


def _see_once(place: Field | None, what: str, seen: dict[str, int]) -> bool:
    """Note a text of a rule, or report that it was given before; say whether it was not."""
    if place is None or not isinstance(place.node, Scalar):
        return True
    normal = unicodedata.normalize("NFC", place.node.text)
    if normal in seen:
        text, line = quoted(place.node.text), seen[normal]
        place.fault(f"duplicate {what} {text}; first given in line {line}")
        return False
    seen[normal] = place.node.line
    return True


def _see_default_id(rule: Rule, part: Field, ids: dict[str, int]) -> None:
    if rule.rule_id in ids:
        first = f"first given in line {ids[rule.rule_id]}"
        part.fault(f"duplicate id {quoted(rule.rule_id)}, made of the description; {first}")
    ids[rule.rule_id] = part.node.line
