"""What the rules store promises to those who ask it and to those who write it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from rules_store.changes import Change, Extent
from schemas.rules import Rule, RulesAt, TenantRules
from schemas.vocabulary import Generation, RuleId, TenantId


@dataclass(frozen=True, slots=True)
class RejectedRule:
    """A stored rule that cannot be meant (R5). `reason` names the field, never its value."""

    tenant_id: TenantId
    rule_id: RuleId
    reason: str


@dataclass(frozen=True, slots=True)
class LoadedRules:
    """What a store holds: the rules that can be meant, and those that cannot."""

    rules: RulesAt
    rejected: tuple[RejectedRule, ...] = ()


class RulesStore(Protocol):
    """The rules of all tenants, numbered by generation.

    Every change of a tenant, user, bank account or rule, by whatever writer, forms a greater
    generation. Each method raises `StoreUnavailable` when the answer is not known, never "none"
    instead, and `SchemaOutdated` when there are no tables, or older ones than this version needs.
    """

    def generation(self) -> Generation:
        """Return the generation of the last committed change."""

    def load(self) -> LoadedRules:
        """Return all rules and the generation they form together, as of one instant.

        Tenants and rules are sorted by id, recipients stand in the order their rule gives them. A
        row that cannot be meant spoils its own rule and no other.
        """


@dataclass(frozen=True, slots=True)
class Version:
    """What a generation did to one thing, when, and by whom.

    `changed_by` is what the writer said of itself, `database_user` whom PostgreSQL let in.
    """

    generation: Generation
    changed_at: datetime
    changed_by: str | None
    database_user: str | None
    change: Change


class RulesHistory(Protocol):
    """The rules as they once were; raises what `RulesStore` raises."""

    def load_as_of(self, tenant_id: TenantId, generation: Generation) -> TenantRules | None:
        """Return what the store held of a tenant at a generation, none if there was no such tenant.

        It is what `load` gave then, a rule that cannot be meant left out. Raise `InvalidInput`
        where the generation is older than the history, or not there yet.
        """


Tell = Callable[[Sequence[Change]], None]
Edit = Callable[[TenantRules], Sequence[Rule]]  # what a tenant has → the rules to write


class RulesWriter(Protocol):
    """Changes the rules of tenants; raises what `RulesStore` raises.

    Each call is one transaction: whatever it raises, nothing was changed. Where nothing differs,
    nothing is written and the generation stays.
    """

    def compare(
        self, tenants: Iterable[TenantRules], extent: Extent = Extent.WHOLE
    ) -> tuple[Change, ...]:
        """Return what `apply` would change, and change nothing."""

    def apply(
        self, tenants: Iterable[TenantRules], extent: Extent = Extent.WHOLE
    ) -> tuple[Change, ...]:
        """Bring these tenants to exactly this and return what changed.

        Their users, bank accounts and rules that are not given are deleted, unless the extent
        says that they stay; all other tenants stay untouched. Raise `InvalidInput` where what
        stays and what is given would have one description.
        """

    def bring_in(
        self, tenants: Iterable[TenantRules], extent: Extent, tell: Tell, *, dry_run: bool = False
    ) -> None:
        """Do what `apply` does, or `compare`, with any number of tenants, each given once.

        They are taken some at a time, and `tell` hears of their changes at once: what it heard
        holds when the call returns. What `tenants` raises passes through.
        """

    def edit_rules(
        self, tenant_id: TenantId, edit: Edit, *, dry_run: bool = False
    ) -> tuple[Change, ...]:
        """Write the rules that are made of what a tenant has, and return what changed.

        Everything else of the tenant stays. What `edit` raises passes through. Raise
        `InvalidInput` where there is no such tenant.
        """

    def delete_rule(
        self, tenant_id: TenantId, rule_id: RuleId, *, dry_run: bool = False
    ) -> tuple[Change, ...]:
        """Delete a rule and return that change, or none if there was no such rule."""
