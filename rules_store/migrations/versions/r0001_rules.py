"""Tenants, users, bank accounts, rules, and the generation that counts their changes.

Whoever writes the tables, with whatever client: triggers count the change, so nobody can forget
the generation. In SQLite every changed row counts. In PostgreSQL a transaction counts once,
however many rows it changes: the first statement that changes a row notes the transaction, and a
deferred trigger on that note takes the next generation at commit. So generations come in the order
of commits without gaps, and a transaction left open keeps nobody waiting.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

COUNTED = (
    "push_tenants",
    "push_users",
    "push_bank_accounts",
    "push_rules",
    "push_rule_statuses",
    "push_rule_accounts",
    "push_rule_internal_recipients",
    "push_rule_external_recipients",
)
CHANGES = ("insert", "update", "delete")


def upgrade() -> None:
    create_tables()
    if op.get_bind().dialect.name == "sqlite":
        count_in_sqlite()
        cascade_in_sqlite()
    else:
        count_in_postgresql()


def downgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        for table in COUNTED:
            for change in (*CHANGES, "truncate"):
                op.execute(f"DROP TRIGGER push_count_{change} ON {table}")
        op.execute("DROP TABLE push_rules_changes")  # with its trigger
        op.execute("DROP FUNCTION push_note_rows()")
        op.execute("DROP FUNCTION push_note_truncation()")
        op.execute("DROP FUNCTION push_next_generation()")
    op.drop_table("push_rules_generation")
    for table in reversed(COUNTED):
        op.drop_table(table)


def create_tables() -> None:
    op.create_table(
        "push_tenants",
        sa.Column("tenant_id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("language", sa.Text, nullable=False, server_default="de"),
        sa.Column("time_zone", sa.Text, nullable=False, server_default="Europe/Berlin"),
        *given("tenants", "tenant_id", "name"),
        language("tenants"),
    )
    op.create_table(
        "push_users",
        sa.Column("tenant_id", sa.Text, primary_key=True),
        sa.Column("user_id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("email", sa.Text),
        sa.Column("language", sa.Text),
        sa.Column("active", sa.Boolean, nullable=False, server_default=sa.true()),
        of_tenant(),
        *given("users", "user_id"),
        language("users"),
        *flags("users", "active"),
    )
    op.create_table(
        "push_bank_accounts",
        sa.Column("tenant_id", sa.Text, primary_key=True),
        sa.Column("account_id", sa.Text, primary_key=True),
        sa.Column("iban", sa.Text),
        sa.Column("description", sa.Text),
        of_tenant(),
        *given("bank_accounts", "account_id"),
        sa.CheckConstraint(
            "length(iban) BETWEEN 15 AND 34 AND iban = upper(replace(iban, ' ', ''))",
            name="push_bank_accounts_iban_is_electronic",
        ),
    )
    op.create_table(
        "push_rules",
        sa.Column("tenant_id", sa.Text, primary_key=True),
        sa.Column("rule_id", sa.Text, primary_key=True),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("event_type", sa.Text, nullable=False),
        sa.Column("all_accounts", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("subject", sa.Text, nullable=False, server_default=""),
        sa.Column("subject_may_show_amount", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column(
            "subject_may_show_reference", sa.Boolean, nullable=False, server_default=sa.false()
        ),
        sa.Column("detail_internal", sa.Text, nullable=False, server_default="standard"),
        sa.Column("detail_external", sa.Text, nullable=False, server_default="minimal"),
        sa.Column("enabled", sa.Boolean, nullable=False, server_default=sa.true()),
        of_tenant(),
        sa.UniqueConstraint("tenant_id", "description", name="push_rules_description_is_unique"),
        *given("rules", "rule_id", "description"),
        known("rules", "event_type", "payment-file-rejected", "payment-status-updated"),
        known("rules", "detail_internal", "minimal", "standard", "full"),
        known("rules", "detail_external", "minimal", "standard", "full"),
        *flags(
            "rules",
            "all_accounts",
            "subject_may_show_amount",
            "subject_may_show_reference",
            "enabled",
        ),
    )
    op.create_table(
        "push_rule_statuses",
        sa.Column("tenant_id", sa.Text, primary_key=True),
        sa.Column("rule_id", sa.Text, primary_key=True),
        sa.Column("status", sa.Text, primary_key=True),
        of_rule(),
        *given("rule_statuses", "status"),
    )
    op.create_table(
        "push_rule_accounts",
        sa.Column("tenant_id", sa.Text, primary_key=True),
        sa.Column("rule_id", sa.Text, primary_key=True),
        sa.Column("account_id", sa.Text, primary_key=True),
        of_rule(),
        *given("rule_accounts", "account_id"),
    )
    op.create_table(
        "push_rule_internal_recipients",
        sa.Column("tenant_id", sa.Text, primary_key=True),
        sa.Column("rule_id", sa.Text, primary_key=True),
        sa.Column("user_id", sa.Text, primary_key=True),
        sa.Column("position", sa.Integer, nullable=False, server_default="0"),
        of_rule(),
        *given("rule_internal_recipients", "user_id"),
    )
    op.create_table(
        "push_rule_external_recipients",
        sa.Column("tenant_id", sa.Text, primary_key=True),
        sa.Column("rule_id", sa.Text, primary_key=True),
        sa.Column("address", sa.Text, primary_key=True),
        sa.Column("position", sa.Integer, nullable=False, server_default="0"),
        sa.Column("language", sa.Text),
        sa.Column("verified_at", sa.DateTime(timezone=True).with_variant(sa.Text, "sqlite")),
        of_rule(),
        *given("rule_external_recipients", "address"),
        language("rule_external_recipients"),
    )
    generation = op.create_table(
        "push_rules_generation",
        sa.Column("only_row", sa.Boolean, primary_key=True, server_default=sa.true()),
        sa.Column("generation", sa.BigInteger, nullable=False, server_default="0"),
        sa.CheckConstraint("only_row", name="push_rules_generation_has_one_row"),
    )
    op.bulk_insert(generation, [{"only_row": True, "generation": 0}])


def given(table: str, *columns: str) -> list[sa.CheckConstraint]:
    return [
        sa.CheckConstraint(f"{column} <> ''", name=f"push_{table}_{column}_is_given")
        for column in columns
    ]


def known(table: str, column: str, *words: str) -> sa.CheckConstraint:
    listed = ", ".join(f"'{word}'" for word in words)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=f"push_{table}_{column}_is_known")


def language(table: str) -> sa.CheckConstraint:
    return known(table, "language", "de", "en")


def flags(table: str, *columns: str) -> list[sa.CheckConstraint]:
    if op.get_bind().dialect.name != "sqlite":
        return []
    return [
        sa.CheckConstraint(f"{column} IN (0, 1)", name=f"push_{table}_{column}_is_flag")
        for column in columns
    ]


def of_tenant() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["tenant_id"], ["push_tenants.tenant_id"], ondelete="CASCADE", onupdate="CASCADE"
    )


def of_rule() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["tenant_id", "rule_id"],
        ["push_rules.tenant_id", "push_rules.rule_id"],
        ondelete="CASCADE",
        onupdate="CASCADE",
    )


def count_in_sqlite() -> None:
    """Count every changed row. Foreign keys' cascades fire these triggers too."""
    count = "UPDATE push_rules_generation SET generation = generation + 1;"
    for table in COUNTED:
        for change in CHANGES:
            op.execute(
                f"CREATE TRIGGER {table}_count_{change} AFTER {change} ON {table} BEGIN {count} END"
            )


def cascade_in_sqlite() -> None:
    """Delete what belongs to a deleted rule or tenant also for clients without foreign keys.

    SQLite checks foreign keys only where a connection has asked for it, and its shell has not.
    """
    of_a_rule = "tenant_id = OLD.tenant_id AND rule_id = OLD.rule_id"
    parts = "".join(
        f"DELETE FROM {table} WHERE {of_a_rule}; "  # noqa: S608  # our own names
        for table in COUNTED
        if table.startswith("push_rule_")
    )
    op.execute(
        f"CREATE TRIGGER push_rules_delete_parts AFTER DELETE ON push_rules BEGIN {parts}END"
    )
    parts = "".join(
        f"DELETE FROM {table} WHERE tenant_id = OLD.tenant_id; "  # noqa: S608  # our own names
        for table in ("push_rules", "push_users", "push_bank_accounts")
    )
    op.execute(
        f"CREATE TRIGGER push_tenants_delete_parts AFTER DELETE ON push_tenants BEGIN {parts}END"
    )


def count_in_postgresql() -> None:
    schema = op.get_bind().dialect.identifier_preparer.quote(
        op.get_bind().scalar(sa.text("SELECT current_schema()"))
    )
    op.execute("CREATE TABLE push_rules_changes (transaction_id xid8 PRIMARY KEY)")
    create_function("push_note_rows", schema, NOTE_ROWS)
    create_function("push_note_truncation", schema, NOTE_TRUNCATION)
    create_function("push_next_generation", schema, NEXT_GENERATION)
    for table in COUNTED:
        for change in CHANGES:
            rows = "OLD" if change == "delete" else "NEW"
            op.execute(
                f"CREATE TRIGGER push_count_{change} AFTER {change} ON {table} "
                f"REFERENCING {rows} TABLE AS changed "
                "FOR EACH STATEMENT EXECUTE FUNCTION push_note_rows()"
            )
        op.execute(
            f"CREATE TRIGGER push_count_truncate AFTER TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION push_note_truncation()"
        )
    op.execute(
        "CREATE CONSTRAINT TRIGGER push_next_generation AFTER INSERT ON push_rules_changes "
        "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION push_next_generation()"
    )


def create_function(name: str, schema: str, body: str) -> None:
    """Create a trigger function that runs with its owner's rights.

    So a writer of rules needs none on the counter. Its search path is fixed, temporary tables
    last, or a writer could put a table of his own in the counter's place.
    """
    op.execute(
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER "
        f"SET search_path = {schema}, pg_temp AS $$ BEGIN {body} RETURN NULL; END $$"
    )


# A statement that changes no row fires its triggers all the same.
NOTE_ROWS = """
    IF EXISTS (SELECT FROM changed) THEN
        INSERT INTO push_rules_changes VALUES (pg_current_xact_id()) ON CONFLICT DO NOTHING;
    END IF;
"""
NOTE_TRUNCATION = """
    INSERT INTO push_rules_changes VALUES (pg_current_xact_id()) ON CONFLICT DO NOTHING;
"""
# The counter's row stays locked until the commit is through: generations are in its order. The
# own note stays, or what the transaction changes after SET CONSTRAINTS ... IMMEDIATE would count
# twice; the next transaction clears it away.
NEXT_GENERATION = """
    UPDATE push_rules_generation SET generation = generation + 1;
    DELETE FROM push_rules_changes WHERE transaction_id <> NEW.transaction_id;
"""
