"""What one rule says to one event: the readable answer that every faster one is held to."""

from schemas.events import Routing
from schemas.rules import ChosenAccounts, OnStatusUpdated, Rule
from schemas.vocabulary import TICKABLE, EventType, PaymentStatus, Verdict

_KNOWN = frozenset(status.value for status in PaymentStatus)
_TICKABLE = frozenset(status.value for status in TICKABLE)


def judge(rule: Rule, routing: Routing) -> Verdict:
    """Say what the rule makes of the event (R1 to R13); the first reason against it wins.

    The tenant is checked again on purpose, whoever handed the rule over.
    """
    if rule.tenant_id != routing.tenant_id:
        return Verdict.OTHER_TENANT
    if not rule.enabled:
        return Verdict.DISABLED
    if rule.trigger.event_type is not routing.event_type:
        return Verdict.OTHER_EVENT
    if isinstance(rule.trigger, OnStatusUpdated):
        return _judge_update(rule.trigger, routing)
    return Verdict.WANTED


def _judge_update(trigger: OnStatusUpdated, routing: Routing) -> Verdict:
    if not is_known(routing.status):
        return Verdict.UNKNOWN_STATUS
    if is_unchanged(routing):
        return Verdict.UNCHANGED
    # KON_REJECTED is an event type of its own: ticked by raw SQL, it is ignored (R11).
    if routing.status not in _TICKABLE or routing.status not in trigger.ticked:
        return Verdict.OTHER_STATUS
    chosen = trigger.accounts
    if isinstance(chosen, ChosenAccounts) and chosen.account_ids.isdisjoint(routing.account_ids):
        return Verdict.OTHER_ACCOUNT
    return Verdict.WANTED


def is_known(status: str | None) -> bool:
    """Say whether this version knows the status code (R12)."""
    return status in _KNOWN


def is_unchanged(routing: Routing) -> bool:
    """Say whether an update is none: the status is the one before (R13)."""
    return (
        routing.event_type is EventType.PAYMENT_STATUS_UPDATED
        and routing.status == routing.previous_status
    )
