"""Compiled rules out of SQLite or PostgreSQL, a slice of tenants at a time.

A slice's rows are grouped and packed at once, so that a load needs little more memory than what it
leaves behind. All slices of one answer are read in one transaction, which sees one instant.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from sqlalchemy import Connection, Engine, Table, select

from rules_store import tables
from rules_store.breaks import BREAK, Breathe, no_break
from rules_store.buckets import Buckets
from rules_store.collector import collector_off
from rules_store.entries import TenantEntry
from rules_store.fetching import Tenants, fetch, fetch_beside_others
from rules_store.history import changed_tenants
from rules_store.recipients import Verification
from rules_store.rows import Row, StoredRows
from rules_store.slices import compile_rows
from rules_store.snapshot import Snapshot
from rules_store.sources import Changes, Progress
from rules_store.sql import check_revision, generation_of, reading
from schemas.vocabulary import Generation, TenantId

#: Tenants that a load reads and packs at once: enough that statements cost little, few enough that
#: rows do not pile up.
LOAD_SLICE = 2_000
#: Tenants that one statement names where only some are read.
SLICE = 100

Entries: TypeAlias = Mapping[TenantId, TenantEntry]
Fetched: TypeAlias = Callable[[Table], list[Row]]


@dataclass(frozen=True, slots=True)
class SqlRulesSource:
    """A `RulesSource` in SQLite or PostgreSQL; `sleep` is how it takes its breaks."""

    engine: Engine
    verification: Verification = Verification.OFF
    sleep: Callable[[float], None] = time.sleep

    def generation(self) -> Generation:
        """Return the generation of the last committed change."""
        with reading(self.engine) as connection:
            return generation_of(connection)

    def load(self, tell: Callable[[Progress], None]) -> Snapshot:
        """Return all rules, telling after each slice how far it is."""
        with collector_off(), reading(self.engine) as connection:
            check_revision(connection)
            generation = generation_of(connection)
            query = select(tables.tenants.c.tenant_id).order_by(tables.tenants.c.tenant_id)
            tenant_ids = list(connection.scalars(query))
            loaded: dict[TenantId, TenantEntry] = {}
            rules = 0
            for at in range(0, len(tenant_ids), LOAD_SLICE):
                own = tenant_ids[at : at + LOAD_SLICE]
                tenants = Tenants.between(own[0], own[-1])
                entries = compile_rows(_rows(partial(fetch, connection, tenants)))
                loaded.update(entries)
                rules += sum(entry.rules for entry in entries.values())
                tell(Progress(min(at + LOAD_SLICE, len(tenant_ids)), len(tenant_ids), rules))
            rejected = sum(entry.rejected_rules for entry in loaded.values())
            return Snapshot(
                generation,
                Buckets(loaded.items()),
                rejected_rules=rejected,
                verification=self.verification,
            )

    def changes(self, since: Generation) -> Changes:
        """Return the entries of every tenant that was changed after a generation."""
        with reading(self.engine) as connection:
            check_revision(connection)
            changed = sorted(changed_tenants(connection, since), key=str)  # SQLite: also bytes
            return self._changes(connection, changed, no_break)

    def entries(self, tenant_ids: Sequence[TenantId]) -> Changes:
        """Return the entries of these tenants, whether they were changed or not.

        Nobody waits for them, but batches go on beside: hence the breaks.
        """
        with reading(self.engine) as connection:
            return self._changes(connection, tenant_ids, partial(self.sleep, BREAK))

    def tenants_after(self, tenant_id: TenantId | None, most: int) -> Sequence[TenantId]:
        """Return the next tenants in the database's own order."""
        column = tables.tenants.c.tenant_id
        query = select(column).order_by(column).limit(most)
        if tenant_id is not None:
            query = query.where(column > tenant_id)
        with reading(self.engine) as connection:
            return [TenantId(found) for found in connection.scalars(query)]

    def _changes(
        self, connection: Connection, tenant_ids: Sequence[TenantId], breathe: Breathe
    ) -> Changes:
        changed: dict[TenantId, TenantEntry | None] = dict.fromkeys(tenant_ids)
        for at in range(0, len(tenant_ids), SLICE):
            tenants = Tenants.one_of(tenant_ids[at : at + SLICE])
            fetched = partial(fetch_beside_others, connection, tenants, breathe=breathe)
            changed |= compile_rows(_rows(fetched), breathe)
        return Changes(generation_of(connection), changed)


def _rows(fetched: Fetched) -> StoredRows:
    return StoredRows(
        tenants=fetched(tables.tenants),
        users=fetched(tables.users),
        rules=fetched(tables.rules),
        statuses=fetched(tables.rule_statuses),
        accounts=fetched(tables.rule_accounts),
        internal_recipients=fetched(tables.internal_recipients),
        external_recipients=[
            row if row[5] is None else _with_instant(row)
            for row in fetched(tables.external_recipients)
        ],
    )


def _with_instant(row: Row) -> Row:
    return (*row[:5], tables.read_instant(row[5]))
