"""What is odd about a tenant's rules although it can be meant: said, never refused.

A rule may be left without readers for a while, a domain may look like another and be right. Who
wrote the rule knows; the hints are for those who did not mean it.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from rules_store.addresses import split_addresses
from rules_store.recipients import Resolved, recipients_of, resolve_users
from rules_store.typos import TypoHints
from schemas.rules import ChosenAccounts, OnStatusUpdated, Recipient, Rule, TenantRules
from schemas.vocabulary import Audience, DetailLevel, RuleId, SubjectFact, UserId


@dataclass(frozen=True, slots=True)
class Hint:
    """What is worth a word about a rule. `key` is a rules file's, "" where it is the whole rule."""

    rule_id: RuleId
    key: str
    text: str


def hints_for(tenant_rules: TenantRules) -> Iterator[Hint]:
    """Return what is odd about a tenant's rules; it takes time in proportion to their number."""
    users = resolve_users(tenant_rules.users)
    typos = TypoHints.for_users(tenant_rules.users.values())
    seen: dict[object, RuleId] = {}
    for rule in tenant_rules.rules:
        for key, text in chain(
            _about_typos(rule, typos),
            _about_subject(rule),
            _about_accounts(rule, tenant_rules),
            _about_readers(rule, tenant_rules, users),
            _about_twins(rule, seen),
        ):
            yield Hint(rule.rule_id, key, text)


def _about_typos(rule: Rule, typos: TypoHints) -> Iterator[tuple[str, str]]:
    for external in rule.external_recipients:
        for address in split_addresses(external.address):
            domain = address.rpartition("@")[2].lower()
            if meant := typos.meant_by(domain):
                text = f'the domain "{domain}" is close to "{meant}"'
                yield "external_recipients", f"{text}; if it is a typo, strangers get these mails"


def _about_subject(rule: Rule) -> Iterator[tuple[str, str]]:
    """Say which facts the subject may show although no reader's detail level does (R33)."""
    if not rule.subject_may_show:
        return
    levels = {
        level
        for audience, level in (
            (rule.internal_recipients, rule.detail_internal),
            (rule.external_recipients, rule.detail_external),
        )
        if audience
    }
    if levels == {DetailLevel.MINIMAL}:
        for fact in SubjectFact:
            if fact in rule.subject_may_show:
                text = f"{fact} is never shown: the detail level of every reader is minimal"
                yield "subject_may_show", text


def _about_accounts(rule: Rule, tenant_rules: TenantRules) -> Iterator[tuple[str, str]]:
    trigger = rule.trigger
    if isinstance(trigger, OnStatusUpdated) and isinstance(trigger.accounts, ChosenAccounts):
        chosen = trigger.accounts.account_ids
        if chosen and chosen.isdisjoint(tenant_rules.bank_accounts):
            yield "bank_accounts", "none of these bank accounts is there any more; it never fires"


def _about_readers(
    rule: Rule, tenant_rules: TenantRules, users: Mapping[UserId, Resolved]
) -> Iterator[tuple[str, str]]:
    """Say that nobody would get the mails of an enabled rule, and why (R22)."""
    if not rule.enabled or not (rule.internal_recipients or rule.external_recipients):
        return
    if any(isinstance(users.get(user_id), Recipient) for user_id in rule.internal_recipients):
        return
    readers, left_out = recipients_of(rule, tenant_rules.tenant, users)
    if not readers:
        counts = Counter(reason.value for _, reason in left_out)
        why = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))
        is_internal = bool(rule.internal_recipients)
        key = f"{Audience.INTERNAL if is_internal else Audience.EXTERNAL}_recipients"
        yield key, f"nobody is left to get its mails: {why}"


def _about_twins(rule: Rule, seen: dict[object, RuleId]) -> Iterator[tuple[str, str]]:
    """Say which rule wants the same and mails the same readers: each event makes two mails."""
    if not rule.enabled:
        return
    externals = frozenset(external.address for external in rule.external_recipients)
    what = (rule.trigger, frozenset(rule.internal_recipients), externals)
    first = seen.setdefault(what, rule.rule_id)
    if first != rule.rule_id:
        text = f'wants the same and mails the same as rule "{first}": each event makes two mails'
        yield "", text
