"""References to users and bank accounts that are gone, but stay in their rules."""

from rules_store.files.rule_fields import Dangling
from schemas.rules import ChosenAccounts, OnStatusUpdated, Rule, RulesAt, TenantRules


def dangling_references(rules_at: RulesAt) -> Dangling:
    """Return the ids that stored rules name although nobody has them, by rule.

    Raw SQL may delete a user under a rule, and the reference gives the reason why nobody gets
    the mail. A file that was exported says the same again, so it is no fault there.
    """
    found = {
        (rule.tenant_id, rule.rule_id): _dangling(rule, tenant_rules)
        for tenant_rules in rules_at.tenants
        for rule in tenant_rules.rules
    }
    return {key: ids for key, ids in found.items() if ids}


def _dangling(rule: Rule, tenant_rules: TenantRules) -> frozenset[str]:
    users = frozenset(rule.internal_recipients) - tenant_rules.users.keys()
    trigger = rule.trigger
    if isinstance(trigger, OnStatusUpdated) and isinstance(trigger.accounts, ChosenAccounts):
        accounts = trigger.accounts.account_ids - tenant_rules.bank_accounts.keys()
        return frozenset[str](users) | accounts
    return frozenset(users)
