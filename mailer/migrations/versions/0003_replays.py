"""Replays after a restore, each counted once; an index for what is on trial.

Back again, what was counted stays counted.
"""

import sqlalchemy as sa
from alembic import op

revision = "ledger_0003"
down_revision = "ledger_0002"
branch_labels = None
depends_on = None

_ON_TRIAL = sa.text("trial_until IS NOT NULL")


def upgrade() -> None:
    op.add_column(
        "push_deliveries", sa.Column("replayed_since", sa.DateTime(timezone=True), nullable=True)
    )
    op.create_index(
        "push_deliveries_on_trial",
        "push_deliveries",
        ["trial_until"],
        sqlite_where=_ON_TRIAL,
        postgresql_where=_ON_TRIAL,
    )


def downgrade() -> None:
    op.drop_index("push_deliveries_on_trial", "push_deliveries")
    with op.batch_alter_table("push_deliveries") as table:
        table.drop_column("replayed_since")
