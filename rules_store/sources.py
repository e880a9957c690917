"""What a cache of compiled rules asks of a store."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from rules_store.entries import TenantEntry
from rules_store.snapshot import Snapshot
from schemas.vocabulary import Generation, TenantId


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a load is."""

    tenants: int
    of_tenants: int
    rules: int


@dataclass(frozen=True, slots=True)
class Changes:
    """Entries as they are at a generation; None stands for a tenant without any rule."""

    generation: Generation
    entries: Mapping[TenantId, TenantEntry | None]


class RulesSource(Protocol):
    """The rules of all tenants, compiled.

    Each answer is of one instant. Each method raises `StoreUnavailable` when the answer is not
    known, never "none" instead, and `SchemaOutdated` when there are no tables, or older ones than
    this version needs.
    """

    def generation(self) -> Generation:
        """Return the generation of the last committed change."""

    def load(self, tell: Callable[[Progress], None]) -> Snapshot:
        """Return all rules, telling now and then how far it is."""

    def changes(self, since: Generation) -> Changes:
        """Return the entries of every tenant that was changed after a generation, and no other.

        What it costs depends on those alone.
        """

    def entries(self, tenant_ids: Sequence[TenantId]) -> Changes:
        """Return the entries of these tenants, whether they were changed or not."""

    def tenants_after(self, tenant_id: TenantId | None, most: int) -> Sequence[TenantId]:
        """Return the next tenants in the store's own order, from the first on where None is given.

        Fewer than `most` are the last.
        """
