"""Events, mails and evaluations from and to the plain fields of their Avro records.

Required fields are strict: one that cannot be meant makes the event a dead letter that names it.
An optional fact that cannot be meant is left out instead: the mail then says less, but it comes
(R40; a file id that is no UUID costs only the link).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import fields as fields_of
from datetime import date, datetime
from typing import Any, TypeVar

from schemas.addresses import EmailAddress
from schemas.bank_accounts import BankAccount, Iban
from schemas.errors import InvalidEvent, InvalidValue
from schemas.events import (
    ErrorItem,
    PaymentEvent,
    PaymentFileRejected,
    PaymentStatusUpdated,
    RejectedTransaction,
    Routing,
)
from schemas.instants import day, days, instant, milliseconds
from schemas.mails import OutgoingMail
from schemas.plans import Evaluation, Repeat
from schemas.reports import UndeliverableMail
from schemas.vocabulary import (
    AccountId,
    Audience,
    DeadLetterReason,
    EventId,
    EventType,
    FileId,
    Generation,
    Language,
    MailId,
    Outcome,
    RuleId,
    TenantId,
)

Fields = Mapping[str, Any]
Value = TypeVar("Value")

UUID_SHAPE = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_SUM = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,5})?")  # domain.md section 4, control_sum
_CURRENCY = re.compile(r"[A-Z]{3}")


def is_uuid(text: str) -> bool:
    """Say whether the text is a UUID in its usual spelling."""
    return UUID_SHAPE.fullmatch(text) is not None


def checked_event_id(text: object) -> EventId:
    """Return an event id, or raise `InvalidEvent`: it must be a UUID (R40)."""
    if not isinstance(text, str) or not is_uuid(text):
        raise _invalid("event_id", "not a UUID")
    return EventId(text)


def checked_tenant_id(text: object) -> TenantId:
    """Return a tenant id, or raise `InvalidEvent`: it must not be empty (R40)."""
    if not isinstance(text, str) or not text:
        raise _invalid("tenant_id", "empty or missing")
    return TenantId(text)


def routing_from_fields(event_type: EventType, fields: Fields) -> Routing:
    """Build an event's routing part alone, as `event_from_fields` would find it.

    Raise `InvalidEvent` (`invalid_field`) naming the id that cannot be meant; a status that cannot
    is empty.
    """
    event_id = checked_event_id(fields.get("event_id"))
    tenant_id = checked_tenant_id(fields.get("tenant_id"))
    if event_type is EventType.PAYMENT_FILE_REJECTED:
        return Routing(event_type, event_id, tenant_id)
    return Routing(
        event_type,
        event_id,
        tenant_id,
        _text(fields, "status") or "",
        _text(fields, "previous_status"),
        tuple(AccountId(name) for name in _texts(fields, "account_ids")),
    )


def event_from_fields(event_type: EventType, fields: Fields) -> PaymentEvent:
    """Build an event; instants are milliseconds, days are days since 1970.

    Raise `InvalidEvent` (`invalid_field`) naming the first required field that cannot be meant.
    """
    common = _common_fields(fields)
    if event_type is EventType.PAYMENT_FILE_REJECTED:
        file_id = _text(fields, "file_id")
        return PaymentFileRejected(**common, file_id=None if file_id is None else FileId(file_id))
    status, file_id = _text(fields, "status"), _text(fields, "file_id")
    if not status:
        raise _invalid("status", "empty or missing")
    if file_id is None:
        raise _invalid("file_id", "missing")
    return PaymentStatusUpdated(
        **common,
        status=status,
        previous_status=_text(fields, "previous_status"),
        account_ids=tuple(AccountId(name) for name in _texts(fields, "account_ids")),
        file_id=FileId(file_id),
        uploaded_at=_instant(fields, "uploaded_at"),
        order_id=_text(fields, "order_id"),
        reason_code=_text(fields, "reason_code"),
        reason=_text(fields, "reason"),
        additional_information=_text(fields, "additional_information"),
        rejected_count=_number(fields, "rejected_count"),
        rejected_sum=_shaped(fields, "rejected_sum", _SUM),
        rejected_transactions=_each(fields, "rejected_transactions", _rejected_transaction),
    )


def _common_fields(fields: Fields) -> dict[str, Any]:
    occurred_at = _instant(fields, "occurred_at")
    event_id, tenant_id = fields.get("event_id"), fields.get("tenant_id")
    checked = {
        "event_id": checked_event_id(event_id),
        "tenant_id": checked_tenant_id(tenant_id),
    }
    if occurred_at is None:
        raise _invalid("occurred_at", "missing, or no instant of the years 1 to 9999")
    return checked | {
        "occurred_at": occurred_at,
        "received_at": _instant(fields, "received_at"),
        "file_type": _text(fields, "file_type"),
        "file_name": _text(fields, "file_name"),
        "origin": _text(fields, "origin"),
        "transfer_type": _text(fields, "transfer_type"),
        "order_type": _text(fields, "order_type"),
        "message_id": _text(fields, "message_id"),
        "payment_information_ids": _texts(fields, "payment_information_ids"),
        "accounts": _each(fields, "accounts", _bank_account),
        "number_of_transactions": _number(fields, "number_of_transactions"),
        "control_sum": _shaped(fields, "control_sum", _SUM),
        "currency": _shaped(fields, "currency", _CURRENCY),
        "requested_execution_date": _day(fields, "requested_execution_date"),
        "category_purpose": _text(fields, "category_purpose"),
        "errors": _each(fields, "errors", _error_item),
    }


def _bank_account(fields: Fields) -> BankAccount | None:
    account_id, iban = _text(fields, "account_id"), _text(fields, "iban")
    if not account_id:
        return None
    return BankAccount(AccountId(account_id), _iban(iban), _text(fields, "description"))


def _iban(text: str | None) -> Iban | None:
    try:
        return None if text is None else Iban.parse(text)
    except InvalidValue:
        return None


def _error_item(fields: Fields) -> ErrorItem | None:
    code, name = _text(fields, "error_code"), _text(fields, "error_message")
    if code is None or name is None:
        return None
    return ErrorItem(
        error_code=code,
        error_message=name,
        error_details=_text(fields, "error_details"),
        occurred_at=_instant(fields, "occurred_at"),
    )


def _rejected_transaction(fields: Fields) -> RejectedTransaction:
    return RejectedTransaction(
        end_to_end_id=_text(fields, "end_to_end_id"),
        amount=_shaped(fields, "amount", _SUM),
        currency=_shaped(fields, "currency", _CURRENCY),
        reason_code=_text(fields, "reason_code"),
    )


def _invalid(field: str, complaint: str) -> InvalidEvent:
    return InvalidEvent(DeadLetterReason.INVALID_FIELD, f"{field}: {complaint}")


def _text(fields: Fields, name: str) -> str | None:
    value = fields.get(name)
    return value if isinstance(value, str) else None


def _shaped(fields: Fields, name: str, shape: re.Pattern[str]) -> str | None:
    text = _text(fields, name)
    return text if text is not None and shape.fullmatch(text) else None


def _number(fields: Fields, name: str) -> int | None:
    value = fields.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _instant(fields: Fields, name: str) -> datetime | None:
    return _within_calendar(instant, _number(fields, name))


def _day(fields: Fields, name: str) -> date | None:
    return _within_calendar(day, _number(fields, name))


def _within_calendar(read: Callable[[int], Value], count: int | None) -> Value | None:
    try:
        return None if count is None else read(count)
    except OverflowError:
        return None


def _texts(fields: Fields, name: str) -> tuple[str, ...]:
    values = fields.get(name)
    return tuple(v for v in values if isinstance(v, str)) if isinstance(values, list) else ()


def _each(fields: Fields, name: str, build: Callable[[Fields], Value | None]) -> tuple[Value, ...]:
    values = fields.get(name)
    built = (
        build(value)
        for value in (values if isinstance(values, list) else ())
        if isinstance(value, Mapping)
    )
    return tuple(value for value in built if value is not None)


def event_from_plain(event_type: EventType, plain: Fields) -> PaymentEvent:
    """Build an event from the plain JSON view of domain.md: instants and days as ISO 8601 text."""
    return event_from_fields(event_type, _from_plain("", plain))


_INSTANTS = frozenset({"occurred_at", "received_at", "uploaded_at"})
_DAYS = frozenset({"requested_execution_date"})
_INSTANT_TEXT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?Z")
_DAY_TEXT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _from_plain(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_from_plain(name, part) for part in value]
    if isinstance(value, Mapping):
        return {name_: _from_plain(name_, part) for name_, part in value.items()}
    if name in _INSTANTS:
        return _counted(value, _INSTANT_TEXT, lambda t: milliseconds(datetime.fromisoformat(t)))
    if name in _DAYS:
        return _counted(value, _DAY_TEXT, lambda text: days(date.fromisoformat(text)))
    return value


def _counted(text: object, shape: re.Pattern[str], count: Callable[[str], int]) -> int | None:
    try:
        return count(text) if isinstance(text, str) and shape.fullmatch(text) else None
    except ValueError:  # of the right shape, but not in the calendar
        return None


def fields_of_event(event: PaymentEvent) -> dict[str, Any]:
    """Return the event's Avro fields; the inverse of `event_from_fields`."""
    return _fields_of_value(event)


def _fields_of_value(value: Any) -> dict[str, Any]:
    return {f.name: _plain(getattr(value, f.name)) for f in fields_of(value)}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return milliseconds(value)
    if isinstance(value, date):
        return days(value)
    if isinstance(value, Iban | EmailAddress):
        return value.text
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    if isinstance(value, BankAccount | ErrorItem | RejectedTransaction):
        return _fields_of_value(value)
    return value


def fields_of_mail(mail: OutgoingMail) -> dict[str, Any]:
    """Return the Avro fields of an outgoing mail.

    Field by field: one is written for each mail, and asking a dataclass for its fields costs more
    than Avro does.
    """
    return {
        "mail_id": mail.mail_id,
        "event_id": mail.event_id,
        "rule_id": mail.rule_id,
        "tenant_id": mail.tenant_id,
        "file_id": mail.file_id,
        "event_type": mail.event_type,
        "audience": mail.audience,
        "language": mail.language,
        "recipient": mail.recipient.text,
        "subject": mail.subject,
        "text": mail.text,
        "html": mail.html,
        "from_address": mail.from_address.text,
        "from_name": mail.from_name,
        "reply_to": None if mail.reply_to is None else mail.reply_to.text,
        "date": milliseconds(mail.date),
        "message_id": mail.message_id,
        "thread_root": mail.thread_root,
        "list_id": mail.list_id,
        "unsubscribe_url": mail.unsubscribe_url,
        "unsubscribe_mailto": mail.unsubscribe_mailto,
        "expires_at": milliseconds(mail.expires_at),
        "template_revision": mail.template_revision,
        "rules_generation": mail.rules_generation,
        "fallback": mail.fallback,
    }


def mail_from_fields(fields: Fields) -> OutgoingMail:
    """Build an outgoing mail, or raise `InvalidEvent` (`invalid_field`)."""
    try:
        return OutgoingMail(
            mail_id=MailId(fields["mail_id"]),
            event_id=EventId(fields["event_id"]),
            rule_id=RuleId(fields["rule_id"]),
            tenant_id=TenantId(fields["tenant_id"]),
            file_id=None if fields["file_id"] is None else FileId(fields["file_id"]),
            event_type=EventType(fields["event_type"]),
            audience=Audience(fields["audience"]),
            language=Language(fields["language"]),
            recipient=EmailAddress(fields["recipient"]),
            subject=fields["subject"],
            text=fields["text"],
            html=fields["html"],
            from_address=EmailAddress(fields["from_address"]),
            from_name=fields["from_name"],
            reply_to=None if fields["reply_to"] is None else EmailAddress(fields["reply_to"]),
            date=instant(fields["date"]),
            message_id=fields["message_id"],
            thread_root=fields["thread_root"],
            list_id=fields["list_id"],
            unsubscribe_url=fields["unsubscribe_url"],
            unsubscribe_mailto=fields["unsubscribe_mailto"],
            expires_at=instant(fields["expires_at"]),
            template_revision=fields["template_revision"],
            rules_generation=Generation(fields["rules_generation"]),
            fallback=fields.get("fallback", False),
        )
    except (KeyError, TypeError, ValueError, OverflowError, InvalidValue) as error:
        detail = f"no outgoing mail: {type(error).__name__}"
        raise InvalidEvent(DeadLetterReason.INVALID_FIELD, detail) from None


def fields_of_evaluation(evaluation: Evaluation) -> dict[str, Any]:
    """Return the Avro fields of an evaluation."""
    fields = _fields_of_value(evaluation)
    fields["outcomes"] = {str(outcome): count for outcome, count in evaluation.outcomes.items()}
    fields["repeats"] = [repeat._asdict() for repeat in evaluation.repeats]
    return fields


def evaluation_from_fields(fields: Fields) -> Evaluation:
    """Build an evaluation, or raise `InvalidEvent` (`invalid_field`)."""
    try:
        return Evaluation(
            topic=fields["topic"],
            partition=fields["partition"],
            first_offset=fields["first_offset"],
            last_offset=fields["last_offset"],
            rules_generation=Generation(fields["rules_generation"]),
            engine_version=fields["engine_version"],
            decided_at=instant(fields["decided_at"]),
            outcomes={Outcome(name): count for name, count in fields["outcomes"].items()},
            repeats=tuple(Repeat(**repeat) for repeat in fields.get("repeats", ())),  # since v2
        )
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        detail = f"no evaluation: {type(error).__name__}"
        raise InvalidEvent(DeadLetterReason.INVALID_FIELD, detail) from None


def fields_of_report(report: UndeliverableMail) -> dict[str, Any]:
    """Return the Avro fields of a report about a mail that will not come."""
    fields = _fields_of_value(report)
    fields["recipient"] = None if report.recipient is None else report.recipient.text
    return fields


def report_from_fields(fields: Fields) -> UndeliverableMail:
    """Return a report about a mail that will not come, or raise `InvalidEvent`."""
    return UndeliverableMail(
        mail_id=MailId(fields["mail_id"]),
        event_id=EventId(fields["event_id"]),
        rule_id=RuleId(fields["rule_id"]),
        tenant_id=TenantId(fields["tenant_id"]),
        recipient=None if fields["recipient"] is None else EmailAddress(fields["recipient"]),
        state=fields["state"],
        fate=fields["fate"],
        reply_code=fields["reply_code"],
        reply_detail=fields["reply_detail"],
        reply_text=fields["reply_text"],
        attempts=fields["attempts"],
        may_have_arrived=fields["may_have_arrived"],
        taken_in_at=fields["taken_in_at"],
        finished_at=fields["finished_at"],
    )
