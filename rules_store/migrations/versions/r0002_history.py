# ruff: noqa: S608  # statements are put together out of our own names
"""The history: every version of every row, when it came to be and by whom.

Beside each table lies one that only grows, `push_…_history`: a row for each version, or with
`is_deleted` for the end of one. Its `change_set` leads to `push_history`, which has one row for
each generation. Triggers write both, for any writer; what is there already enters as the state at
the generation in force.

PostgreSQL: the triggers that noted a transaction (0001) give way to triggers that also copy the
changed rows, a whole statement's at once. A generation is known only at commit, so a version
carries the number of its transaction's change set, and the deferred trigger maps that number to
the generation: nothing is written twice, and nobody waits for an open transaction. At commit it
also wakes whoever listens. SQLite: every changed row is a generation of its own, and its number is
that of the change set and the entry too.
"""

import sqlalchemy as sa
from alembic import op

from rules_store.migrations.versions import r0001_rules

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

#: What is kept of each table: its columns in their order, and how many of them are its key.
KEPT: dict[str, tuple[int, tuple[str, ...]]] = {
    "push_tenants": (1, ("tenant_id", "name", "language", "time_zone")),
    "push_users": (2, ("tenant_id", "user_id", "name", "email", "language", "active")),
    "push_bank_accounts": (2, ("tenant_id", "account_id", "iban", "description")),
    "push_rules": (
        2,
        (
            "tenant_id",
            "rule_id",
            "description",
            "event_type",
            "all_accounts",
            "subject",
            "subject_may_show_amount",
            "subject_may_show_reference",
            "detail_internal",
            "detail_external",
            "enabled",
        ),
    ),
    "push_rule_statuses": (3, ("tenant_id", "rule_id", "status")),
    "push_rule_accounts": (3, ("tenant_id", "rule_id", "account_id")),
    "push_rule_internal_recipients": (3, ("tenant_id", "rule_id", "user_id", "position")),
    "push_rule_external_recipients": (
        3,
        ("tenant_id", "rule_id", "address", "position", "language", "verified_at"),
    ),
}
FLAGS = (
    "active",
    "all_accounts",
    "subject_may_show_amount",
    "subject_may_show_reference",
    "enabled",
)
CHANGES = ("insert", "update", "delete")


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        create_history()
        remember_in_sqlite()
        drop_counting_in_sqlite()
        write_history_in_sqlite()
    else:
        # Writers wait from here on; readers only while the triggers change, at the very end.
        op.execute(f"LOCK TABLE {', '.join(KEPT)} IN SHARE ROW EXCLUSIVE MODE")
        op.execute("CREATE SEQUENCE push_history_numbers")
        create_history()
        remember_in_postgresql()
        drop_counting_in_postgresql()
        write_history_in_postgresql()


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        drop_history_in_sqlite()
        r0001_rules.count_in_sqlite()
    else:
        drop_history_in_postgresql()
        r0001_rules.count_in_postgresql()


# --- tables ---


def create_history() -> None:
    op.create_table(
        "push_history",
        sa.Column("generation", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("change_set", sa.BigInteger, nullable=False),
        sa.Column("changed_at", instant(), nullable=False),
        sa.Column("changed_by", sa.Text),
        sa.Column("database_user", sa.Text),
        sa.UniqueConstraint("change_set", name="push_history_change_set_is_unique"),
        sqlite_with_rowid=False,
    )
    for table, (_, columns) in KEPT.items():
        op.create_table(
            f"{table}_history",
            sa.Column("tenant_id", sa.Text, primary_key=True),
            sa.Column("entry", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("change_set", sa.BigInteger, nullable=False),
            sa.Column("is_deleted", sa.Boolean, nullable=False),
            *(kept_column(column) for column in columns[1:]),
            sqlite_with_rowid=False,
        )
        op.create_index(f"{table}_history_by_change_set", f"{table}_history", ["change_set"])


def kept_column(name: str) -> sa.Column[object]:
    """Return a column that takes whatever the table took: the history refuses no writer."""
    if name in FLAGS:
        return sa.Column(name, sa.Boolean)
    if name == "position":
        return sa.Column(name, sa.Integer)
    if name == "verified_at":
        return sa.Column(name, instant())
    return sa.Column(name, sa.Text)


def instant() -> sa.DateTime:
    return sa.DateTime(timezone=True).with_variant(sa.Text, "sqlite")


def drop_history_tables() -> None:
    for table in KEPT:
        op.drop_table(f"{table}_history")
    op.drop_table("push_history")


# --- SQLite ---

SQLITE_NOW = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"


def remember_in_sqlite() -> None:
    """Let what is there enter; entries below zero, so that generations never meet them."""
    op.execute(
        "INSERT INTO push_history (generation, change_set, changed_at)"
        f" SELECT generation, generation, {SQLITE_NOW} FROM push_rules_generation"
    )
    for table, (_, columns) in KEPT.items():
        listed = ", ".join(columns)
        op.execute(
            f"INSERT INTO {table}_history (entry, change_set, is_deleted, {listed})"
            " SELECT -row_number() OVER (),"
            f" (SELECT generation FROM push_rules_generation), false, {listed} FROM {table}"
        )


def drop_counting_in_sqlite() -> None:
    for table in KEPT:
        for change in CHANGES:
            op.execute(f"DROP TRIGGER {table}_count_{change}")


def write_history_in_sqlite() -> None:
    # SQLite has no sessions: a writer may say here who it is, within its transaction.
    op.execute(
        "CREATE TABLE push_changed_by"
        " (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), changed_by TEXT)"
    )
    op.execute("INSERT INTO push_changed_by VALUES (1, NULL)")
    op.execute(
        "CREATE TRIGGER push_history_generation AFTER UPDATE ON push_rules_generation BEGIN "
        "INSERT INTO push_history (generation, change_set, changed_at, changed_by) "
        f"VALUES (NEW.generation, NEW.generation, {SQLITE_NOW}, "
        "(SELECT substr(changed_by, 1, 200) FROM push_changed_by)); END"
    )
    for table, (key, columns) in KEPT.items():
        moved = " OR ".join(f"OLD.{name} IS NOT NEW.{name}" for name in columns[:key])
        appended = sqlite_entry(table, columns, "NEW", is_deleted=False)
        ended = sqlite_entry(table, columns[:key], "OLD", is_deleted=True)
        # A row under a new key is the end of one thing and the beginning of another.
        moved_away = sqlite_entry(table, columns[:key], "OLD", is_deleted=True, only_if=moved)
        sqlite_trigger(table, "insert", f"AFTER INSERT ON {table}", appended)
        sqlite_trigger(table, "update", f"AFTER UPDATE ON {table}", moved_away + appended)
        sqlite_trigger(table, "delete", f"AFTER DELETE ON {table}", ended)
    keep_replaced_rules_in_sqlite()


def keep_replaced_rules_in_sqlite() -> None:
    """Keep the end of a rule that INSERT OR REPLACE removes for its description.

    SQLite fires no trigger for it. So a rule in the way is noted before, and looked for after.
    """
    op.execute("CREATE TABLE push_rules_in_the_way (tenant_id TEXT, rule_id TEXT)")
    for change, itself in (("INSERT", "NEW"), ("UPDATE", "OLD")):
        in_the_way = (
            "FROM push_rules WHERE tenant_id = NEW.tenant_id AND description = NEW.description "
            f"AND NOT (tenant_id = {itself}.tenant_id AND rule_id = {itself}.rule_id)"
        )
        sqlite_trigger(
            "push_rules",
            f"before_{change.lower()}",
            f"BEFORE {change} ON push_rules WHEN EXISTS (SELECT 1 {in_the_way})",
            # one is left over where the statement ignored the conflict
            "DELETE FROM push_rules_in_the_way; "
            f"INSERT INTO push_rules_in_the_way SELECT tenant_id, rule_id {in_the_way};",
        )
        sqlite_trigger(
            "push_rules",
            f"after_{change.lower()}",
            f"AFTER {change} ON push_rules WHEN EXISTS (SELECT 1 FROM push_rules_in_the_way)",
            "DELETE FROM push_rules_in_the_way WHERE EXISTS (SELECT 1 FROM push_rules AS there"
            " WHERE there.tenant_id = push_rules_in_the_way.tenant_id"
            " AND there.rule_id = push_rules_in_the_way.rule_id); "
            "UPDATE push_rules_generation SET generation = generation + 1"
            " WHERE EXISTS (SELECT 1 FROM push_rules_in_the_way); "
            "INSERT INTO push_rules_history (entry, change_set, is_deleted, tenant_id, rule_id)"
            " SELECT generation, generation, 1, tenant_id, rule_id"
            " FROM push_rules_generation, push_rules_in_the_way; "
            "DELETE FROM push_rules_in_the_way;",
        )


def sqlite_trigger(table: str, name: str, when: str, body: str) -> None:
    op.execute(f"CREATE TRIGGER {table}_history_{name} {when} BEGIN {body} END")


def sqlite_entry(
    table: str, columns: tuple[str, ...], row: str, *, is_deleted: bool, only_if: str = "true"
) -> str:
    values = ", ".join(f"{row}.{name}" for name in columns)
    return (
        f"UPDATE push_rules_generation SET generation = generation + 1 WHERE {only_if}; "
        f"INSERT INTO {table}_history (entry, change_set, is_deleted, {', '.join(columns)}) "
        f"SELECT generation, generation, {int(is_deleted)}, {values} "
        f"FROM push_rules_generation WHERE {only_if}; "
    )


def drop_history_in_sqlite() -> None:
    for table in KEPT:
        for change in CHANGES:
            op.execute(f"DROP TRIGGER {table}_history_{change}")
    for change in ("insert", "update"):
        op.execute(f"DROP TRIGGER push_rules_history_before_{change}")
        op.execute(f"DROP TRIGGER push_rules_history_after_{change}")
    op.execute("DROP TABLE push_rules_in_the_way")
    op.execute("DROP TRIGGER push_history_generation")
    op.execute("DROP TABLE push_changed_by")
    drop_history_tables()


# --- PostgreSQL ---


def remember_in_postgresql() -> None:
    op.execute(
        "INSERT INTO push_history (generation, change_set, changed_at, database_user)"
        " SELECT generation, nextval('push_history_numbers'), clock_timestamp(), session_user"
        " FROM push_rules_generation"
    )
    for table, (_, columns) in KEPT.items():
        listed = ", ".join(columns)
        op.execute(
            f"INSERT INTO {table}_history (entry, change_set, is_deleted, {listed})"
            " SELECT nextval('push_history_numbers'),"
            f" (SELECT change_set FROM push_history), false, {listed} FROM {table}"
        )


def drop_counting_in_postgresql() -> None:
    for table in KEPT:
        for change in (*CHANGES, "truncate"):
            op.execute(f"DROP TRIGGER push_count_{change} ON {table}")
    op.execute("DROP TABLE push_rules_changes")
    for function in ("push_note_rows", "push_note_truncation", "push_next_generation"):
        op.execute(f"DROP FUNCTION {function}()")


def write_history_in_postgresql() -> None:
    op.execute(
        "CREATE TABLE push_rules_changes"
        " (transaction_id xid8 PRIMARY KEY, change_set bigint NOT NULL UNIQUE)"
    )
    # The notes are few, but of each transaction a dead one is left until it is vacuumed away, so
    # they are looked up by their index alone.
    by_index = "SET enable_seqscan = off"
    create_function("push_change_set", "bigint", CHANGE_SET, settings=by_index)
    create_function("push_next_generation", "trigger", NEXT_GENERATION, settings=by_index)
    op.execute(
        "CREATE CONSTRAINT TRIGGER push_next_generation AFTER INSERT ON push_rules_changes "
        "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION push_next_generation()"
    )
    for table in KEPT:
        write_table_history_in_postgresql(table)


def write_table_history_in_postgresql(table: str) -> None:
    function = f"push_keep_{table.removeprefix('push_')}"
    create_function(function, "trigger", keeping(table))
    rows = {
        "insert": "REFERENCING NEW TABLE AS now_there",
        "update": "REFERENCING OLD TABLE AS there_before NEW TABLE AS now_there",
        "delete": "REFERENCING OLD TABLE AS there_before",
    }
    for change in CHANGES:
        op.execute(
            f"CREATE TRIGGER push_keep_{change} AFTER {change} ON {table} {rows[change]} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
        )
    op.execute(
        f"CREATE TRIGGER push_keep_truncate BEFORE TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
    )


def create_function(name: str, returns: str, body: str, *, settings: str = "") -> None:
    """Create a function that runs with its owner's rights, and that nobody else may use.

    So a writer of rules needs no right on counter or history. The search path is fixed, temporary
    tables last, or a writer could put a table of his own in the history's place. Whoever may
    execute a trigger's function could hang it on such a table and write history at will.
    """
    bind = op.get_bind()
    schema = bind.dialect.identifier_preparer.quote(bind.scalar(sa.text("SELECT current_schema()")))
    op.execute(
        f"CREATE FUNCTION {name}() RETURNS {returns} LANGUAGE plpgsql SECURITY DEFINER "
        f"SET search_path = {schema}, pg_temp {settings} AS $$ {body} $$"
    )
    op.execute(f"REVOKE ALL ON FUNCTION {name}() FROM PUBLIC")


CHANGE_SET = """
DECLARE
    known bigint;
BEGIN
    SELECT change_set INTO known FROM push_rules_changes
        WHERE transaction_id = pg_current_xact_id();
    IF NOT FOUND THEN
        INSERT INTO push_rules_changes
            VALUES (pg_current_xact_id(), nextval('push_history_numbers'))
            RETURNING change_set INTO known;
    END IF;
    RETURN known;
END
"""
# The counter's row stays locked until the commit is through: generations are in its order. The
# own note stays, or what the transaction changes after SET CONSTRAINTS ... IMMEDIATE would count
# twice; the next transaction clears it away.
NEXT_GENERATION = """
DECLARE
    this bigint;
BEGIN
    UPDATE push_rules_generation SET generation = generation + 1 RETURNING generation INTO this;
    INSERT INTO push_history (generation, change_set, changed_at, changed_by, database_user)
        VALUES (this, NEW.change_set, clock_timestamp(),
                left(nullif(current_setting('push.changed_by', true), ''), 200), session_user);
    DELETE FROM push_rules_changes
        WHERE change_set = (SELECT change_set FROM push_history WHERE generation = this - 1);
    PERFORM pg_notify('push_rules', this::text);
    RETURN NULL;
END
"""


def keeping(table: str) -> str:
    """Return the body that copies a statement's rows; one that changed none leaves no trace.

    The plan of a query is made once for rows few or many. EXCEPT is linear under any plan; a
    NOT EXISTS planned for one row would be quadratic.
    """
    size, columns = KEPT[table]
    key = ", ".join(columns[:size])
    return f"""
DECLARE
    this bigint;
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NOT EXISTS (SELECT FROM now_there) THEN RETURN NULL; END IF;
        this := push_change_set();
        {postgresql_entries(table, columns, "now_there", is_deleted=False)}
    ELSIF TG_OP = 'UPDATE' THEN
        IF NOT EXISTS (SELECT FROM now_there) THEN RETURN NULL; END IF;
        this := push_change_set();
        {
        postgresql_entries(
            table,
            columns[:size],
            f"(SELECT {key} FROM there_before EXCEPT SELECT {key} FROM now_there) AS gone",
            is_deleted=True,
        )
    }
        {postgresql_entries(table, columns, "now_there", is_deleted=False)}
    ELSIF TG_OP = 'DELETE' THEN
        IF NOT EXISTS (SELECT FROM there_before) THEN RETURN NULL; END IF;
        this := push_change_set();
        {postgresql_entries(table, columns[:size], "there_before", is_deleted=True)}
    ELSIF EXISTS (SELECT FROM {table}) THEN
        this := push_change_set();
        {postgresql_entries(table, columns[:size], table, is_deleted=True)}
    END IF;
    RETURN NULL;
END
"""


def postgresql_entries(
    table: str, columns: tuple[str, ...], source: str, *, is_deleted: bool
) -> str:
    listed = ", ".join(columns)
    return (
        f"INSERT INTO {table}_history (entry, change_set, is_deleted, {listed}) "
        f"SELECT nextval('push_history_numbers'), this, {is_deleted}, {listed} FROM {source};"
    )


def drop_history_in_postgresql() -> None:
    for table in KEPT:
        for change in (*CHANGES, "truncate"):
            op.execute(f"DROP TRIGGER push_keep_{change} ON {table}")
        op.execute(f"DROP FUNCTION push_keep_{table.removeprefix('push_')}()")
    op.execute("DROP TABLE push_rules_changes")
    op.execute("DROP FUNCTION push_next_generation()")
    op.execute("DROP FUNCTION push_change_set()")
    drop_history_tables()
    op.execute("DROP SEQUENCE push_history_numbers")
