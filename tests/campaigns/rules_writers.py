"""Writers of rules who know nothing of push-services: random raw SQL in short transactions.

Their tenants, users, accounts and rules are few, so that they meet all the time; what the database
refuses (a description taken, a rule gone, a deadlock) they give up and try something else.
"""

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import psycopg

TENANTS = [f"t{n}" for n in range(60)]
USERS = [f"u{n}" for n in range(4)]
ACCOUNTS = [f"a{n}" for n in range(3)]
RULES = [f"r{n}" for n in range(6)]
STATUSES = ["FIN_REJECTED", "FIN_ACCEPTED", "FIN_UPLOAD_FAILED", "FIN_CONFIRMED", "NEW_CODE"]
LONGEST_DELAY = 0.02  # seconds before a commit
ROLLED_BACK = 0.15  # of all transactions, on purpose

_WHAT_THEY_DO = """
INSERT INTO push_tenants (tenant_id, name) VALUES ('{tenant}', 'T')
    ON CONFLICT (tenant_id) DO UPDATE SET language = '{language}';
UPDATE push_tenants SET name = '{word}' WHERE tenant_id = '{tenant}';
DELETE FROM push_tenants WHERE tenant_id = '{rare_tenant}';
INSERT INTO push_users VALUES ('{tenant}', '{user}', '{word}', '{word}@t.example', NULL, true)
    ON CONFLICT (tenant_id, user_id) DO UPDATE SET active = {flag}, name = '{word}';
UPDATE push_users SET user_id = '{user}' WHERE tenant_id = '{tenant}' AND user_id = '{user2}';
DELETE FROM push_users WHERE tenant_id = '{tenant}' AND user_id = '{user}';
INSERT INTO push_bank_accounts VALUES ('{tenant}', '{account}', NULL, '{word}')
    ON CONFLICT (tenant_id, account_id) DO UPDATE SET description = '{word}';
DELETE FROM push_bank_accounts WHERE tenant_id = '{tenant}' AND account_id = '{account}';
INSERT INTO push_rules (tenant_id, rule_id, description, event_type, all_accounts)
    VALUES ('{tenant}', '{rule}', '{word} {rule}', 'payment-status-updated', {flag})
    ON CONFLICT (tenant_id, rule_id) DO UPDATE SET all_accounts = {flag}, subject = '{word}';
UPDATE push_rules SET enabled = {flag} WHERE tenant_id = '{tenant}';
UPDATE push_rules SET description = '{word}' WHERE tenant_id = '{tenant}' AND rule_id = '{rule}';
UPDATE push_rules SET rule_id = '{rule}' WHERE tenant_id = '{tenant}' AND rule_id = '{rule2}';
DELETE FROM push_rules WHERE tenant_id = '{tenant}' AND rule_id = '{rule}';
INSERT INTO push_rule_statuses SELECT tenant_id, rule_id, '{status}' FROM push_rules
    WHERE tenant_id = '{tenant}' ON CONFLICT DO NOTHING;
DELETE FROM push_rule_statuses WHERE tenant_id = '{tenant}' AND status = '{status}';
INSERT INTO push_rule_accounts VALUES ('{tenant}', '{rule}', '{account}') ON CONFLICT DO NOTHING;
DELETE FROM push_rule_accounts WHERE tenant_id = '{tenant}' AND account_id = '{account}';
INSERT INTO push_rule_internal_recipients SELECT tenant_id, rule_id, '{user}', {number}
    FROM push_rules WHERE tenant_id = '{tenant}'
    ON CONFLICT (tenant_id, rule_id, user_id) DO UPDATE SET position = {number};
DELETE FROM push_rule_internal_recipients WHERE tenant_id = '{tenant}' AND rule_id = '{rule}';
INSERT INTO push_rule_external_recipients (tenant_id, rule_id, address, position)
    VALUES ('{tenant}', '{rule}', '{word}@ext.example', {number})
    ON CONFLICT (tenant_id, rule_id, address) DO UPDATE
    SET verified_at = '2026-03-01T12:00:0{number}+00:00';
DELETE FROM push_rule_external_recipients WHERE tenant_id = '{tenant}' AND rule_id = '{rule}'
"""
STATEMENTS = _WHAT_THEY_DO.split(";")


@dataclass(frozen=True, slots=True)
class Writer:
    """Somebody with a name and a mind of their own, who makes so many changes."""

    name: str
    url: str
    changes: int

    def write(self) -> None:
        """Commit exactly so many transactions that changed something, and roll back others."""
        chance = random.Random(self.name)
        with psycopg.connect(self.url) as connection:
            connection.execute("SET deadlock_timeout = '20ms'")
            connection.execute("SET lock_timeout = '20s'")  # nobody is to wait that long
            connection.execute(f"SET push.changed_by = '{self.name}'".encode())
            connection.commit()
            done = 0
            while done < self.changes:
                done += self._try_one(connection, chance)

    def _try_one(
        self, connection: "psycopg.Connection[tuple[object, ...]]", chance: random.Random
    ) -> bool:
        """Say whether a transaction changed something and was committed."""
        changed = 0
        try:
            for statement in some_statements(chance, TENANTS):
                changed += connection.execute(statement.encode()).rowcount
            time.sleep(chance.uniform(0, LONGEST_DELAY))
            if chance.random() < ROLLED_BACK:
                connection.rollback()
                return False
            connection.commit()
        except (psycopg.errors.IntegrityError, psycopg.errors.DeadlockDetected):
            connection.rollback()
            return False
        return changed > 0


def some_statements(chance: random.Random, tenants: Sequence[str]) -> Iterator[str]:
    """Yield what a transaction does to these tenants, one thing to four."""
    for _ in range(chance.randint(1, 4)):
        yield chance.choice(STATEMENTS).format(
            tenant=chance.choice(tenants),
            rare_tenant=chance.choice(tenants if chance.random() < 0.2 else ["nobody"]),
            user=chance.choice(USERS),
            user2=chance.choice(USERS),
            account=chance.choice(ACCOUNTS),
            rule=chance.choice(RULES),
            rule2=chance.choice(RULES),
            status=chance.choice(STATUSES),
            language=chance.choice(["de", "en"]),
            flag=chance.choice(["true", "false"]),
            number=chance.randint(0, 9),
            word=f"w{chance.randint(0, 99)}",
        )
