"""The rules in memory: for tests, the demo and dry runs."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from rules_store.changes import Change, Extent, changes_of_tenant, with_the_rest
from rules_store.ports import Edit, LoadedRules, Tell
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

    def compare(
        self, tenants: Iterable[TenantRules], extent: Extent = Extent.WHOLE
    ) -> tuple[Change, ...]:
        """Return what `apply` would change, and change nothing."""
        changes: list[Change] = []
        self.bring_in(tenants, extent, changes.extend, dry_run=True)
        return tuple(changes)

    def apply(
        self, tenants: Iterable[TenantRules], extent: Extent = Extent.WHOLE
    ) -> tuple[Change, ...]:
        """Bring these tenants to exactly this, and return what changed."""
        changes: list[Change] = []
        self.bring_in(tenants, extent, changes.extend)
        return tuple(changes)

    def bring_in(
        self, tenants: Iterable[TenantRules], extent: Extent, tell: Tell, *, dry_run: bool = False
    ) -> None:
        """Do what `apply` does, or `compare`, with any number of tenants."""
        after = dict(self.tenants)
        changes: list[Change] = []
        for given in tenants:
            before = self.tenants.get(given.tenant.tenant_id)
            wanted = with_the_rest(before, given) if extent is Extent.PART else given
            changes += changes_of_tenant(before, wanted)
            ordered = tuple(sorted(wanted.rules, key=lambda rule: rule.rule_id))
            after[given.tenant.tenant_id] = replace(wanted, rules=ordered)
        tell(changes)
        if changes and not dry_run:
            self.tenants = after
            self.changed += 1
            self._past.append(after)

    def edit_rules(
        self, tenant_id: TenantId, edit: Edit, *, dry_run: bool = False
    ) -> tuple[Change, ...]:
        """Write the rules that are made of what a tenant has, and return what changed."""
        held = self.tenants.get(tenant_id)
        if held is None:
            raise InvalidInput([f"push-services: there is no tenant {tenant_id!r}"])
        changes: list[Change] = []
        given = replace(held, rules=tuple(edit(held)))
        self.bring_in((given,), Extent.PART, changes.extend, dry_run=dry_run)
        return tuple(changes)

    def delete_rule(
        self, tenant_id: TenantId, rule_id: RuleId, *, dry_run: bool = False
    ) -> tuple[Change, ...]:
        """Delete a rule and return that change, or none if there was no such rule."""
        held = self.tenants.get(tenant_id)
        if not held or all(rule.rule_id != rule_id for rule in held.rules):
            return ()
        kept = tuple(rule for rule in held.rules if rule.rule_id != rule_id)
        changes: list[Change] = []
        self.bring_in((replace(held, rules=kept),), Extent.WHOLE, changes.extend, dry_run=dry_run)
        return tuple(changes)
