"""What was decided about a record and why, in a line for people.

The answer is the planner's, the one that the worker asks; why a rule does not want an event is
`judge`'s word. Nothing here knows what the demo expects.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from consumer.planning import Planner
from rules_store.matching import judge
from schemas.events import Routing
from schemas.plans import Share
from schemas.records import Record
from schemas.rules import Rule, RulesAt, WantedRule
from schemas.vocabulary import LeftOut, MailId, Outcome, RuleId, Verdict


class Tone(StrEnum):
    """How a line is meant."""

    MAIL = "mail"  #: somebody gets a mail
    QUIET = "quiet"  #: nobody does, and that is right
    TROUBLE = "trouble"  #: somebody should look


@dataclass(frozen=True, slots=True)
class Told:
    """A decision as a line says it, and the share it tells of."""

    tone: Tone
    text: str
    share: Share


_WITHOUT_RULE = {
    Outcome.NO_RULES: "nobody made rules for this tenant",
    Outcome.UNKNOWN_STATUS: "a status code this version does not know: counted, no mail",
    Outcome.UNCHANGED: "the status is the one before: no news, no mail",
}
_WORDS = {
    Verdict.DISABLED: "switched off",
    Verdict.OTHER_EVENT: "waits for the other event",
    Verdict.OTHER_STATUS: "other status",
    Verdict.OTHER_ACCOUNT: "other account",
    Verdict.OTHER_TENANT: "another tenant's",
    LeftOut.INACTIVE: "inactive",
    LeftOut.DELETED: "deleted",
    LeftOut.NO_ADDRESS: "without an address",
    LeftOut.BAD_ADDRESS: "with a bad address",
    LeftOut.UNVERIFIED: "not verified",
}


def tell(planner: Planner, rules: RulesAt, record: Record, sent: Collection[MailId]) -> Told:
    """Say what becomes of a record; `sent` are the mails that were planned before."""
    share = planner.share(record)
    if share.outcome is Outcome.UNREADABLE:
        letter = share.dead_letters[0]
        return Told(Tone.TROUBLE, f"dead letter, {letter.reason}: {letter.detail}", share)
    routing = planner.codec.peek(planner.event_types[record.topic], record)
    if share.outcome in _WITHOUT_RULE:
        return Told(Tone.QUIET, _WITHOUT_RULE[share.outcome], share)
    if share.outcome is Outcome.NO_MATCH:
        return Told(Tone.QUIET, f"no rule wants it: {_why_not(rules, routing)}", share)
    if share.mails and all(mail.mail_id in sent for mail, _ in share.mails):
        text = f"published again: {_mails(len(share.mails))} known, none is made twice"
        return Told(Tone.QUIET, text, share)
    return _told_of_rules(planner.rules.wanting(routing), share)


def _why_not(rules: RulesAt, routing: Routing) -> str:
    """Name each rule of the tenant that could have wanted it, with the reason against it."""
    verdicts = [(rule, judge(rule, routing)) for rule in _rules_of(rules, routing)]
    close = [(rule, why) for rule, why in verdicts if why is not Verdict.OTHER_EVENT]
    said = [f"“{rule.description}” {_WORDS.get(why, why)}" for rule, why in close or verdicts]
    return ", ".join(said)


def _rules_of(rules: RulesAt, routing: Routing) -> Iterator[Rule]:
    for tenant_rules in rules.tenants:
        if tenant_rules.tenant.tenant_id == routing.tenant_id:
            yield from tenant_rules.rules


def _told_of_rules(wanting: Sequence[WantedRule], share: Share) -> Told:
    mails = Counter(mail.rule_id for mail, _ in share.mails)
    failed = {letter.rule_id for letter in share.dead_letters}
    text = "; ".join(_told_of_rule(wanted, mails, failed) for wanted in wanting)
    if failed:
        return Told(Tone.TROUBLE, text, share)
    return Told(Tone.MAIL if share.mails else Tone.QUIET, text, share)


def _told_of_rule(
    wanted: WantedRule, mails: Counter[RuleId], failed: Collection[RuleId | None]
) -> str:
    name = f"rule “{wanted.rule.description}”"
    if wanted.rule.rule_id in failed:
        return f"{name}: its mails cannot be made, dead letter"
    count = mails[wanted.rule.rule_id]
    without = ", ".join(f"{who} {_WORDS[why]}" for who, why in wanted.left_out)
    if not count:
        return f"{name} wants it, but nobody is left: {without}"
    return f"{name} → {_mails(count)}" + (f" ({without})" if without else "")


def _mails(count: int) -> str:
    return "1 mail" if count == 1 else f"{count} mails"
