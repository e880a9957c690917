"""How two states of a tenant differ, in the lines that a rules file has for them."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from rules_store.changes import Change, ChangeKind, Thing, changes_of_tenant
from rules_store.files.exporting import Plain, plain_account, plain_head, plain_rule, plain_user
from rules_store.files.yaml import write_yaml
from schemas.rules import TenantRules


@dataclass(frozen=True, slots=True)
class Difference:
    """A change, with what the thing was and what it became as a rules file has it."""

    change: Change
    before: Plain | None
    after: Plain | None

    def lines(self) -> tuple[str, ...]:
        """Return the lines that went, beginning with `-`, and those that came, with `+`."""
        before, after = _lines(self.before), _lines(self.after)
        compared = difflib.unified_diff(before, after, n=0, lineterm="")
        return tuple(line for line in compared if not line.startswith(("---", "+++", "@@")))


def differences(before: TenantRules | None, after: TenantRules | None) -> tuple[Difference, ...]:
    """Return how a tenant changed; None is a tenant that is not there."""
    if after is None:
        if before is None:
            return ()
        undone = differences(None, before)
        return tuple(_undone(difference) for difference in undone)
    was, is_now = _things(before), _things(after)
    changes = changes_of_tenant(before, after)
    keys = ((change, (change.thing, change.thing_id)) for change in changes)
    return tuple(Difference(change, was.get(key), is_now.get(key)) for change, key in keys)


def _lines(plain: Plain | None) -> list[str]:
    return [] if plain is None else write_yaml(plain).splitlines()


def _undone(created: Difference) -> Difference:
    change = created.change
    gone = Change(
        ChangeKind.DELETED, change.thing, change.tenant_id, change.thing_id, change.description
    )
    return Difference(gone, created.after, None)


def _things(tenant_rules: TenantRules | None) -> Mapping[tuple[Thing, str], Plain]:
    if tenant_rules is None:
        return {}
    return {
        (Thing.TENANT, ""): plain_head(tenant_rules.tenant),
        **{(Thing.USER, u.user_id): plain_user(u) for u in tenant_rules.users.values()},
        **{
            (Thing.BANK_ACCOUNT, a.account_id): plain_account(a)
            for a in tenant_rules.bank_accounts.values()
        },
        **{(Thing.RULE, rule.rule_id): plain_rule(rule) for rule in tenant_rules.rules},
    }
