"""Compiled rules out of memory: for tests."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rules_store.memory import MemoryRulesStore
from rules_store.recipients import Verification
from rules_store.snapshot import Snapshot
from rules_store.sources import Changes, Progress
from schemas.vocabulary import Generation, TenantId


@dataclass(slots=True)
class MemoryRulesSource:
    """A `RulesSource` on a `MemoryRulesStore`."""

    store: MemoryRulesStore
    verification: Verification = Verification.OFF

    def generation(self) -> Generation:
        """Return the generation of the last change."""
        return self.store.generation()

    def load(self, tell: Callable[[Progress], None]) -> Snapshot:
        """Return all rules, and tell once that they are there."""
        loaded = self.store.load()
        snapshot = Snapshot.compile(loaded.rules, loaded.rejected, self.verification)
        rules = sum(entry.rules for entry in snapshot.entries.values())
        tell(Progress(len(loaded.rules.tenants), len(loaded.rules.tenants), rules))
        return snapshot

    def changes(self, since: Generation) -> Changes:
        """Return the entries of every tenant that was changed after a generation."""
        return self.entries(
            [
                tenant_id
                for tenant_id, held in self.store.tenants.items()
                if held != self.store.load_as_of(tenant_id, since)
            ]
        )

    def entries(self, tenant_ids: Sequence[TenantId]) -> Changes:
        """Return the entries of these tenants, whether they were changed or not."""
        snapshot = self.load(lambda _: None)
        found = {tenant_id: snapshot.entries.find(tenant_id) for tenant_id in tenant_ids}
        return Changes(snapshot.generation, found)

    def tenants_after(self, tenant_id: TenantId | None, most: int) -> Sequence[TenantId]:
        """Return the next tenants, sorted by id."""
        later = [each for each in self.store.tenants if tenant_id is None or each > tenant_id]
        return sorted(later)[:most]
