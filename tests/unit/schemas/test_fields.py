from datetime import UTC, date, datetime
from typing import Any

import pytest

from schemas.bank_accounts import BankAccount, Iban
from schemas.errors import InvalidEvent
from schemas.events import ErrorItem, PaymentFileRejected, PaymentStatusUpdated, RejectedTransaction
from schemas.fields import (
    evaluation_from_fields,
    event_from_fields,
    event_from_plain,
    fields_of_evaluation,
    fields_of_event,
    fields_of_mail,
    mail_from_fields,
)
from schemas.plans import Evaluation, Repeat
from schemas.vocabulary import AccountId, DeadLetterReason, EventType, Generation, Outcome
from tests.builders import a_file_rejected, a_status_update
from tests.unit.schemas.mails import a_mail

UPDATED, REJECTED = EventType.PAYMENT_STATUS_UPDATED, EventType.PAYMENT_FILE_REJECTED
MISSING = object()


def status_fields(**changes: Any) -> dict[str, Any]:
    fields = fields_of_event(a_status_update()) | changes
    return {name: value for name, value in fields.items() if value is not MISSING}


def updated_from(**changes: Any) -> PaymentStatusUpdated:
    event = event_from_fields(UPDATED, status_fields(**changes))
    assert isinstance(event, PaymentStatusUpdated)
    return event


@pytest.mark.parametrize("event", [a_status_update(), a_file_rejected()])
def test_an_event_comes_back_out_of_its_fields(
    event: PaymentStatusUpdated | PaymentFileRejected,
) -> None:
    assert event_from_fields(event.routing.event_type, fields_of_event(event)) == event


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        pytest.param("event_id", MISSING, id="event_id missing"),
        pytest.param("event_id", None, id="event_id null"),
        pytest.param("event_id", "", id="event_id empty"),
        pytest.param("event_id", "edff93a589324d1eb0d032e37b6464f8", id="event_id no UUID"),
        pytest.param("event_id", "edff93a5-8932-4d1e-b0d0-32e37b6464f8\n", id="event_id line end"),
        pytest.param("event_id", 7, id="event_id a number"),
        pytest.param("tenant_id", MISSING, id="tenant_id missing"),
        pytest.param("tenant_id", "", id="tenant_id empty"),
        pytest.param("tenant_id", 10482, id="tenant_id a number"),
        pytest.param("occurred_at", MISSING, id="occurred_at missing"),
        pytest.param("occurred_at", None, id="occurred_at null"),
        pytest.param("occurred_at", 2**62, id="occurred_at out of range"),
        pytest.param("occurred_at", "2026-03-12", id="occurred_at a text"),
        pytest.param("occurred_at", True, id="occurred_at a boolean"),
        pytest.param("status", MISSING, id="status missing"),
        pytest.param("status", "", id="status empty"),
        pytest.param("status", 3, id="status a number"),
        pytest.param("file_id", MISSING, id="file_id missing"),
        pytest.param("file_id", None, id="file_id null"),
    ],
)
def test_a_required_field_that_cannot_be_meant_is_named(name: str, wrong: object) -> None:
    with pytest.raises(InvalidEvent, match=f"^{name}: ") as caught:
        event_from_fields(UPDATED, status_fields(**{name: wrong}))

    assert caught.value.reason is DeadLetterReason.INVALID_FIELD


@pytest.mark.parametrize("name", ["event_id", "tenant_id", "occurred_at"])
def test_a_required_field_of_a_rejected_file_is_named(name: str) -> None:
    fields = fields_of_event(a_file_rejected()) | {name: None}

    with pytest.raises(InvalidEvent, match=f"^{name}: "):
        event_from_fields(REJECTED, fields)


def test_a_complaint_does_not_repeat_the_value() -> None:
    with pytest.raises(InvalidEvent) as caught:
        event_from_fields(UPDATED, status_fields(event_id="Anna Beispiel"))

    assert "Anna" not in str(caught.value)


TEXTS = (
    "previous_status",
    "file_type",
    "file_name",
    "origin",
    "transfer_type",
    "order_type",
    "message_id",
    "category_purpose",
    "order_id",
    "reason_code",
    "reason",
    "additional_information",
)


@pytest.mark.parametrize("wrong", [MISSING, None, 7, b"bytes", ["a"]])
@pytest.mark.parametrize("name", TEXTS)
def test_an_optional_text_that_is_none_is_left_out(name: str, wrong: object) -> None:
    assert getattr(updated_from(**{name: wrong}), name) is None


@pytest.mark.parametrize("name", ["number_of_transactions", "rejected_count"])
@pytest.mark.parametrize("wrong", [MISSING, None, "3", 1.5, True])
def test_an_optional_number_that_is_none_is_left_out(name: str, wrong: object) -> None:
    assert getattr(updated_from(**{name: wrong}), name) is None


@pytest.mark.parametrize("name", ["received_at", "uploaded_at", "requested_execution_date"])
@pytest.mark.parametrize("wrong", [MISSING, None, 2**62, -(2**62), "2026-03-12", False])
def test_an_optional_time_outside_the_calendar_is_left_out(name: str, wrong: object) -> None:
    assert getattr(updated_from(**{name: wrong}), name) is None


@pytest.mark.parametrize(
    "name",
    ["account_ids", "payment_information_ids", "accounts", "errors", "rejected_transactions"],
)
@pytest.mark.parametrize("wrong", [MISSING, None, "acc-7731", 7, {"a": "b"}, [None, 7]])
def test_a_list_that_is_none_is_empty(name: str, wrong: object) -> None:
    assert getattr(updated_from(**{name: wrong}), name) == ()


def test_a_file_id_that_is_no_uuid_stays_as_it_stands() -> None:
    # R40: it costs only the link.
    assert updated_from(file_id="no-uuid").file_id == "no-uuid"


def test_a_rejected_file_needs_no_file_id() -> None:
    event = event_from_fields(REJECTED, fields_of_event(a_file_rejected()) | {"file_id": None})

    assert event.file_id is None


def test_a_status_nobody_knows_is_data() -> None:
    assert updated_from(status="FIN_SOMETHING_NEW").status == "FIN_SOMETHING_NEW"


@pytest.mark.parametrize("name", ["control_sum", "rejected_sum"])
@pytest.mark.parametrize("text", ["0", "3000.00", "1500", "123456789012345.12345", "007.5"])
def test_a_sum_is_kept_as_it_stands(name: str, text: str) -> None:
    assert getattr(updated_from(**{name: text}), name) == text


@pytest.mark.parametrize("name", ["control_sum", "rejected_sum"])
@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param("", id="empty"),
        pytest.param("1234567890123456", id="sixteen digits"),
        pytest.param("1.123456", id="six decimals"),
        pytest.param("1.", id="no decimals behind the point"),
        pytest.param(".5", id="nothing before the point"),
        pytest.param("1,50", id="comma"),
        pytest.param("-1.50", id="negative"),
        pytest.param("1e3", id="exponent"),
        pytest.param("1.50\n", id="line end"),
        pytest.param("NaN", id="not a number"),
        pytest.param("٣٠٠", id="digits of another script"),
        pytest.param(1.5, id="float"),
        pytest.param(None, id="null"),
    ],
)
def test_a_sum_of_another_shape_is_left_out(name: str, wrong: object) -> None:
    assert getattr(updated_from(**{name: wrong}), name) is None


@pytest.mark.parametrize("wrong", ["", "eur", "EURO", "€", "EU1", None])
def test_a_currency_of_another_shape_is_left_out(wrong: object) -> None:
    assert updated_from(currency=wrong).currency is None


def test_an_account_keeps_what_can_be_meant() -> None:
    accounts = [
        {"account_id": "acc-1", "iban": "de89 3704 0044 0532 0130 00", "description": None},
        {"account_id": "acc-2", "iban": "DE00", "description": "Einkauf"},
        {"account_id": "", "iban": None, "description": "no id"},
        {"iban": "DE89370400440532013000"},
        "acc-4",
    ]

    assert updated_from(accounts=accounts).accounts == (
        BankAccount(AccountId("acc-1"), Iban("DE89370400440532013000")),
        BankAccount(AccountId("acc-2"), None, "Einkauf"),
    )


def test_an_error_keeps_what_can_be_meant() -> None:
    errors = [
        {"error_code": "ERR-04-0009", "error_message": "UnknownBankAccount", "occurred_at": 0},
        {"error_code": "ERR-1", "error_message": "M", "error_details": 7, "occurred_at": 2**62},
        {"error_code": "ERR-2"},
        {"error_message": "without a code"},
    ]

    assert updated_from(errors=errors).errors == (
        ErrorItem(
            error_code="ERR-04-0009",
            error_message="UnknownBankAccount",
            occurred_at=datetime(1970, 1, 1, tzinfo=UTC),
        ),
        ErrorItem(error_code="ERR-1", error_message="M"),
    )


def test_a_rejected_transaction_keeps_what_can_be_meant() -> None:
    rejected = [{"end_to_end_id": "RE-1", "amount": "x", "currency": "EUR"}, {}]

    assert updated_from(rejected_transactions=rejected).rejected_transactions == (
        RejectedTransaction(end_to_end_id="RE-1", currency="EUR"),
        RejectedTransaction(),
    )


def test_the_plain_view_of_domain_md_is_an_event() -> None:
    plain = {
        "event_id": "e12b91a3-6b3b-4d39-99dc-cccf5bccd39b",
        "tenant_id": "m-10482",
        "occurred_at": "2026-03-27T15:12:09Z",
        "requested_execution_date": "2026-03-30",
        "number_of_transactions": 48,
        "errors": [
            {
                "error_code": "ERR-04-0009",
                "error_message": "UnknownBankAccount",
                "occurred_at": "2026-03-27T15:12:08.5Z",
            }
        ],
    }

    event = event_from_plain(REJECTED, plain)

    assert event.occurred_at == datetime(2026, 3, 27, 15, 12, 9, tzinfo=UTC)
    assert event.requested_execution_date == date(2026, 3, 30)
    assert event.errors[0].occurred_at == datetime(2026, 3, 27, 15, 12, 8, 500_000, tzinfo=UTC)


def test_a_text_that_looks_like_a_day_stays_a_text() -> None:
    plain = {
        "event_id": "e12b91a3-6b3b-4d39-99dc-cccf5bccd39b",
        "tenant_id": "m-10482",
        "occurred_at": "2026-03-27T15:12:09Z",
        "message_id": "2026-03-27",
        "file_name": "2026-03-27T15:12:09Z",
        "payment_information_ids": ["2026-03-27"],
    }

    event = event_from_plain(REJECTED, plain)

    assert event.message_id == "2026-03-27"
    assert event.file_name == "2026-03-27T15:12:09Z"
    assert event.payment_information_ids == ("2026-03-27",)


@pytest.mark.parametrize("wrong", ["yesterday", "2026-13-45T00:00:00Z", "2026-03-27", 7, None])
def test_a_plain_instant_that_cannot_be_meant_is_named(wrong: object) -> None:
    plain = {
        "event_id": "e12b91a3-6b3b-4d39-99dc-cccf5bccd39b",
        "tenant_id": "m-10482",
        "occurred_at": wrong,
    }

    with pytest.raises(InvalidEvent, match=r"^occurred_at: "):
        event_from_plain(REJECTED, plain)


def test_a_mail_comes_back_out_of_its_fields() -> None:
    mail = a_mail()

    assert mail_from_fields(fields_of_mail(mail)) == mail


def test_a_mail_of_nulls_comes_back_out_of_its_fields() -> None:
    nullable = (
        "file_id",
        "from_name",
        "reply_to",
        "thread_root",
        "list_id",
        "unsubscribe_url",
        "unsubscribe_mailto",
    )
    mail = a_mail(**dict.fromkeys(nullable))

    assert mail_from_fields(fields_of_mail(mail)) == mail


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("recipient", "anna@muster.example\r\nBcc: x@evil.example"),
        ("from_address", ""),
        ("reply_to", "no address"),
        ("event_type", "payment-file-lost"),
        ("audience", "everybody"),
        ("language", "fr"),
        ("date", 2**62),
        ("expires_at", None),
    ],
)
def test_a_mail_that_cannot_be_meant_is_invalid_without_saying_its_values(
    name: str, wrong: object
) -> None:
    fields = fields_of_mail(a_mail()) | {name: wrong}

    with pytest.raises(InvalidEvent, match=r"^no outgoing mail: [A-Za-z]+$") as caught:
        mail_from_fields(fields)

    assert caught.value.reason is DeadLetterReason.INVALID_FIELD


def test_a_mail_without_a_field_is_invalid() -> None:
    fields = fields_of_mail(a_mail())
    del fields["subject"]

    with pytest.raises(InvalidEvent, match="no outgoing mail"):
        mail_from_fields(fields)


EVALUATION = Evaluation(
    topic="payment-status-updated",
    partition=3,
    first_offset=10,
    last_offset=19,
    rules_generation=Generation(7),
    engine_version="0.1.0",
    decided_at=datetime(2026, 11, 24, 8, 30, tzinfo=UTC),
    outcomes={Outcome.MAILED: 4, Outcome.NO_MATCH: 4, Outcome.REPEATED: 2},
    repeats=(Repeat(12, 3), Repeat(19, 12)),
)


def test_an_evaluation_comes_back_out_of_its_fields() -> None:
    assert evaluation_from_fields(fields_of_evaluation(EVALUATION)) == EVALUATION


def test_an_evaluation_of_the_first_version_repeats_nothing() -> None:
    fields = fields_of_evaluation(EVALUATION)
    del fields["repeats"]

    assert evaluation_from_fields(fields).repeats == ()


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("outcomes", {"vanished": 1}),
        ("outcomes", 7),
        ("decided_at", 2**62),
        ("repeats", [{"offset": 1}]),
    ],
)
def test_an_evaluation_that_cannot_be_meant_is_invalid(name: str, wrong: object) -> None:
    with pytest.raises(InvalidEvent, match="no evaluation") as caught:
        evaluation_from_fields(fields_of_evaluation(EVALUATION) | {name: wrong})

    assert caught.value.reason is DeadLetterReason.INVALID_FIELD
