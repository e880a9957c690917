"""References to users and bank accounts that are gone, but stay in their rules."""

from collections.abc import Mapping

from schemas.rules import ChosenAccounts, OnStatusUpdated, Rule, TenantRules
from schemas.vocabulary import RuleId


def dangling_references(tenant_rules: TenantRules) -> Mapping[RuleId, frozenset[str]]:
    """Return the ids that a tenant's rules name although nobody has them, by rule.

    Raw SQL may delete a user under a rule, and the reference gives the reason why nobody gets
    the mail. A file may go on naming it, so that the rule can be edited.
    """
    found = {rule.rule_id: _dangling(rule, tenant_rules) for rule in tenant_rules.rules}
    return {rule_id: ids for rule_id, ids in found.items() if ids}


def _dangling(rule: Rule, tenant_rules: TenantRules) -> frozenset[str]:
    users = frozenset(rule.internal_recipients) - tenant_rules.users.keys()
    trigger = rule.trigger
    if isinstance(trigger, OnStatusUpdated) and isinstance(trigger.accounts, ChosenAccounts):
        accounts = trigger.accounts.account_ids - tenant_rules.bank_accounts.keys()
        return frozenset[str](users) | accounts
    return frozenset(users)
