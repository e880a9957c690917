"""Hypothesis strategies for what comes from outside."""

from datetime import UTC, date, datetime

from hypothesis import strategies as st

from schemas.bank_accounts import BankAccount, Iban
from schemas.events import (
    ErrorItem,
    PaymentEvent,
    PaymentFileRejected,
    PaymentStatusUpdated,
    RejectedTransaction,
)
from schemas.vocabulary import AccountId, EventId, FileId, PaymentStatus, TenantId

IBANS = tuple(
    Iban(text)
    for text in ("DE89370400440532013000", "DE02120300000000202051", "AT611904300234573201")
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
instants = st.datetimes(
    datetime(1980, 1, 1),  # noqa: DTZ001  bounds are naive by contract
    datetime(2100, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
).map(lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000))
days = st.dates(date(1980, 1, 1), date(2100, 1, 1))
event_ids = st.uuids().map(lambda name: EventId(str(name)))
tenant_ids = st.one_of(st.sampled_from(["m-1", "m-2", "m-10482"]), texts.filter(bool)).map(TenantId)
account_ids = st.one_of(st.sampled_from(["acc-1", "acc-2"]), texts).map(AccountId)
statuses = st.one_of(st.sampled_from(list(PaymentStatus)).map(str), texts.filter(bool))
sums = st.from_regex(r"[0-9]{1,15}(\.[0-9]{1,5})?", fullmatch=True)
currencies = st.sampled_from(["EUR", "CHF", "JPY"])
numbers = st.integers(-(2**31), 2**31 - 1)

bank_accounts = st.builds(
    BankAccount,
    account_ids.filter(bool),
    st.none() | st.sampled_from(IBANS),
    st.none() | texts,
)
error_items = st.builds(
    ErrorItem,
    error_code=texts,
    error_message=texts,
    error_details=st.none() | texts,
    occurred_at=st.none() | instants,
)
rejected_transactions = st.builds(
    RejectedTransaction,
    end_to_end_id=st.none() | texts,
    amount=st.none() | sums,
    currency=st.none() | currencies,
    reason_code=st.none() | texts,
)

_optional_texts = {
    name: st.none() | texts
    for name in (
        "file_type",
        "file_name",
        "origin",
        "transfer_type",
        "order_type",
        "message_id",
        "category_purpose",
    )
}
_common = {
    "event_id": event_ids,
    "tenant_id": tenant_ids,
    "occurred_at": instants,
    "received_at": st.none() | instants,
    "payment_information_ids": st.lists(texts, max_size=3).map(tuple),
    "accounts": st.lists(bank_accounts, max_size=3).map(tuple),
    "number_of_transactions": st.none() | numbers,
    "control_sum": st.none() | sums,
    "currency": st.none() | currencies,
    "requested_execution_date": st.none() | days,
    "errors": st.lists(error_items, max_size=3).map(tuple),
    **_optional_texts,
}

rejected_files: st.SearchStrategy[PaymentEvent] = st.builds(
    PaymentFileRejected, file_id=st.none() | texts.map(FileId), **_common
)
status_updates: st.SearchStrategy[PaymentEvent] = st.builds(
    PaymentStatusUpdated,
    status=statuses,
    previous_status=st.none() | statuses,
    account_ids=st.lists(account_ids, max_size=4).map(tuple),
    file_id=texts.map(FileId),
    uploaded_at=st.none() | instants,
    order_id=st.none() | texts,
    reason_code=st.none() | texts,
    reason=st.none() | texts,
    additional_information=st.none() | texts,
    rejected_count=st.none() | numbers,
    rejected_sum=st.none() | sums,
    rejected_transactions=st.lists(rejected_transactions, max_size=3).map(tuple),
    **_common,
)
events = rejected_files | status_updates
