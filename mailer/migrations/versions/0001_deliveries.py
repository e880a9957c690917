"""The ledger: one row per mail, with the record's bytes until the mail is done."""

import sqlalchemy as sa
from alembic import op

revision = "ledger_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    instant = sa.DateTime(timezone=True)
    op.create_table(
        "push_deliveries",
        sa.Column("tenant_id", sa.String, primary_key=True),
        sa.Column("mail_id", sa.String, primary_key=True),
        sa.Column("event_id", sa.String, nullable=False),
        sa.Column("rule_id", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("in_doubt_count", sa.Integer, nullable=False),
        sa.Column("owner", sa.String),
        sa.Column("claim_number", sa.Integer, nullable=False),
        sa.Column("lease_until", instant),
        sa.Column("next_attempt_at", instant, nullable=False),
        sa.Column("expires_at", instant, nullable=False),
        sa.Column("data_started_at", instant),
        sa.Column("taken_in_at", instant, nullable=False),
        sa.Column("finished_at", instant),
        sa.Column("fate", sa.String),
        sa.Column("reply_code", sa.Integer),
        sa.Column("reply_text", sa.String),
        sa.Column("record_topic", sa.String, nullable=False),
        sa.Column("record_partition", sa.Integer, nullable=False),
        sa.Column("record_offset", sa.BigInteger, nullable=False),
        sa.Column("value", sa.LargeBinary),
        sa.CheckConstraint(
            "state IN ('waiting', 'claimed', 'sent', 'failed', 'suppressed', 'held')",
            name="push_deliveries_state",
        ),
        sa.CheckConstraint(
            "(value IS NULL) = (state IN ('sent', 'failed', 'suppressed'))",
            name="push_deliveries_value_until_the_end",
        ),
        sa.CheckConstraint(
            "(state = 'claimed') = (lease_until IS NOT NULL)",
            name="push_deliveries_lease_of_claim",
        ),
    )
    op.create_index(
        "push_deliveries_due",
        "push_deliveries",
        ["state", "next_attempt_at", "record_offset"],
    )
