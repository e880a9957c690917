"""What the history tells: who changed what and when, and the rules as they once were.

Everything here reads on an open connection, so that several answers belong to one instant.
"""

from sqlalchemy import Connection, select, union

from rules_store.history_tables import HISTORY, generations
from schemas.vocabulary import Generation, TenantId


def changed_tenants(connection: Connection, since: Generation) -> frozenset[TenantId]:
    """Return the tenants with any change after a generation; what it costs grows with those alone.

    A tenant that was deleted meanwhile is among them.
    """
    later = select(generations.c.change_set).where(generations.c.generation > since)
    each = (
        select(kept.c.tenant_id).where(kept.c.change_set.in_(later)) for kept in HISTORY.values()
    )
    return frozenset(map(TenantId, connection.scalars(union(*each))))
