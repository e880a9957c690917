"""Ends of their own: suppressed and held mails, refusals on trial, owed reports, addresses.

Back again, suppressed and held mails stay as they are: the older version's checks allow for them
and it leaves them alone. A refusal on trial counts as final and loses its bytes; replies' details,
addresses, owed reports and the suppression list are gone.
"""

import sqlalchemy as sa
from alembic import op

revision = "ledger_0002"
down_revision = "ledger_0001"
branch_labels = None
depends_on = None

_ENDS = "state IN ('sent', 'failed', 'suppressed')"


def upgrade() -> None:
    instant = sa.DateTime(timezone=True)
    with op.batch_alter_table("push_deliveries") as table:
        table.add_column(sa.Column("reply_detail", sa.String))
        table.add_column(_flag("was_answered"))
        table.add_column(sa.Column("trial_until", instant))
        table.add_column(_flag("owes_report"))
        table.add_column(sa.Column("recipient", sa.String))
        table.add_column(sa.Column("address_hash", sa.String))
        table.add_column(sa.Column("envelope_token", sa.String))
        table.drop_constraint("push_deliveries_value_until_the_end", type_="check")
        table.create_check_constraint(
            "push_deliveries_value_until_the_end",
            f"(value IS NULL) = ({_ENDS} AND trial_until IS NULL)",
        )
        table.create_check_constraint(
            "push_deliveries_trial_of_refusal", "trial_until IS NULL OR state = 'failed'"
        )
    op.execute("UPDATE push_deliveries SET fate = 'expired' WHERE fate = 'given_up'")
    # Whoever was tried may have been answered: a mail of before then expires as it did before.
    op.execute("UPDATE push_deliveries SET was_answered = (attempts > 0)")
    op.create_index("push_deliveries_finished", "push_deliveries", ["finished_at"])
    op.create_index("push_deliveries_envelope", "push_deliveries", ["envelope_token"])
    op.create_index(
        "push_deliveries_owing",
        "push_deliveries",
        ["finished_at"],
        sqlite_where=sa.text("owes_report"),
        postgresql_where=sa.text("owes_report"),
    )
    op.create_table(
        "push_suppressions",
        sa.Column("tenant_id", sa.String, primary_key=True),
        sa.Column("address_hash", sa.String, primary_key=True),
        sa.Column("rule_id", sa.String, primary_key=True),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("since", instant, nullable=False),
        sa.Column("until", instant),
        sa.Column("mail_id", sa.String),
    )


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean, nullable=False, server_default=sa.false())


def downgrade() -> None:
    op.drop_table("push_suppressions")
    for index in ("owing", "envelope", "finished"):
        op.drop_index(f"push_deliveries_{index}", "push_deliveries")
    op.execute(
        "UPDATE push_deliveries SET value = NULL, trial_until = NULL WHERE trial_until IS NOT NULL"
    )
    with op.batch_alter_table("push_deliveries") as table:
        table.drop_constraint("push_deliveries_trial_of_refusal", type_="check")
        table.drop_constraint("push_deliveries_value_until_the_end", type_="check")
        table.create_check_constraint(
            "push_deliveries_value_until_the_end", f"(value IS NULL) = ({_ENDS})"
        )
        for name in (
            "envelope_token",
            "address_hash",
            "recipient",
            "owes_report",
            "trial_until",
            "was_answered",
            "reply_detail",
        ):
            table.drop_column(name)
