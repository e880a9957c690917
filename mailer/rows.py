"""Rows of the ledger to our values and back."""

from collections.abc import Sequence
from typing import Any

from mailer.ports import Arrival, Claim, Standing
from mailer.results import Fate, State
from schemas.addresses import EmailAddress
from schemas.vocabulary import EventId, MailId, RuleId, TenantId


def arrival_values(arrivals: Sequence[Arrival]) -> list[tuple[Any, ...]]:
    """Return a row per key, the first one's; sorted, so that two intakes never lock crosswise."""
    firsts = {arrival.key: arrival for arrival in reversed(arrivals)}
    return [_values(firsts[key]) for key in sorted(firsts)]


def _values(arrival: Arrival) -> tuple[Any, ...]:
    return (
        arrival.tenant_id,
        arrival.mail_id,
        arrival.event_id,
        arrival.rule_id,
        arrival.in_doubt_count,
        arrival.expires_at,
        arrival.recipient.text,
        *arrival.names,
        arrival.topic,
        arrival.partition,
        arrival.offset,
        arrival.value,
    )


def claim_from_row(row: Any, is_suppressed: bool) -> Claim:
    """Return a claim, from a row that was just claimed."""
    return Claim(
        tenant_id=TenantId(row.tenant_id),
        mail_id=MailId(row.mail_id),
        event_id=EventId(row.event_id),
        rule_id=RuleId(row.rule_id),
        owner=row.owner,
        number=row.claim_number,
        attempts=row.attempts,
        in_doubt_count=row.in_doubt_count,
        was_answered=bool(row.was_answered),
        is_suppressed=is_suppressed,
        claimed_at=row.claimed_at,
        taken_in_at=row.taken_in_at,
        expires_at=row.expires_at,
        value=bytes(row.value),
    )


def standing_from_row(row: Any) -> Standing:
    """Return where a mail stands, from a row without its bytes."""
    return Standing(
        tenant_id=TenantId(row.tenant_id),
        mail_id=MailId(row.mail_id),
        event_id=EventId(row.event_id),
        rule_id=RuleId(row.rule_id),
        state=State(row.state),
        attempts=row.attempts,
        in_doubt_count=row.in_doubt_count,
        owner=row.owner,
        claim_number=row.claim_number,
        lease_until=row.lease_until,
        next_attempt_at=row.next_attempt_at,
        expires_at=row.expires_at,
        data_started_at=row.data_started_at,
        taken_in_at=row.taken_in_at,
        finished_at=row.finished_at,
        fate=None if row.fate is None else Fate(row.fate),
        reply_code=row.reply_code,
        reply_detail=row.reply_detail,
        reply_text=row.reply_text,
        was_answered=bool(row.was_answered),
        trial_until=row.trial_until,
        owes_report=bool(row.owes_report),
        recipient=None if row.recipient is None else EmailAddress(row.recipient),
        address_hash=row.address_hash,
        topic=row.record_topic,
        partition=row.record_partition,
        offset=row.record_offset,
        has_value=bool(row.has_value),
    )
