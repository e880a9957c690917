"""The rules in memory: for tests, the demo and dry runs."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from rules_store.changes import Change, ChangeKind, Thing, changes_of_tenant
from rules_store.ports import LoadedRules
from schemas.errors import InvalidInput
from schemas.rules import RulesAt, TenantRules
from schemas.vocabulary import Generation, RuleId, TenantId


@dataclass(slots=True)
class MemoryRulesStore:
    """A `RulesStore` in a dictionary; a generation is one call that changed something."""

    tenants: dict[TenantId, TenantRules] = field(default_factory=dict)
    changed: int = 0
    _past: list[dict[TenantId, TenantRules]] = field(default_factory=lambda: [{}], init=False)

    def generation(self) -> Generation:
        """Return the generation of the last change."""
        return Generation(self.changed)

    def load(self) -> LoadedRules:
        """Return all rules and the generation they form together."""
        by_id = tuple(self.tenants[tenant_id] for tenant_id in sorted(self.tenants))
        return LoadedRules(RulesAt(self.generation(), by_id))

    def load_as_of(self, tenant_id: TenantId, generation: Generation) -> TenantRules | None:
        """Return what the store held of a tenant at a generation."""
        if not 0 <= generation <= self.changed:
            raise InvalidInput([f"generation {generation}: the newest is {self.changed}"])
        return self._past[generation].get(tenant_id)

    def compare(self, tenants: Sequence[TenantRules]) -> tuple[Change, ...]:
        """Return what `apply` would change, and change nothing."""
        return tuple(
            change
            for wanted in tenants
            for change in changes_of_tenant(self.tenants.get(wanted.tenant.tenant_id), wanted)
        )

    def apply(self, tenants: Sequence[TenantRules]) -> tuple[Change, ...]:
        """Bring these tenants to exactly this, and return what changed."""
        changes = self.compare(tenants)
        for wanted in tenants:
            ordered = tuple(sorted(wanted.rules, key=lambda rule: rule.rule_id))
            self.tenants[wanted.tenant.tenant_id] = replace(wanted, rules=ordered)
        if changes:
            self._note_change()
        return changes

    def delete_rule(self, tenant_id: TenantId, rule_id: RuleId) -> tuple[Change, ...]:
        """Delete a rule and return that change, or none if there was no such rule."""
        held = self.tenants.get(tenant_id)
        found = [rule for rule in held.rules if rule.rule_id == rule_id] if held else []
        if not held or not found:
            return ()
        kept = tuple(rule for rule in held.rules if rule.rule_id != rule_id)
        self.tenants[tenant_id] = replace(held, rules=kept)
        self._note_change()
        description = found[0].description
        return (Change(ChangeKind.DELETED, Thing.RULE, tenant_id, rule_id, description),)

    def _note_change(self) -> None:
        self.changed += 1
        self._past.append(dict(self.tenants))
