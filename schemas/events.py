"""The two payment events, as domain.md section 4 lists their fields, and their routing part.

`Routing` is a NamedTuple, not a dataclass: one is made for every record on the hot path, and a
frozen dataclass costs several times as much to build.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

from schemas.bank_accounts import BankAccount
from schemas.vocabulary import AccountId, EventId, EventType, FileId, TenantId


class Routing(NamedTuple):
    """What decides which rules want an event: the first fields of its schema."""

    event_type: EventType
    event_id: EventId
    tenant_id: TenantId
    status: str | None = None  #: None on a rejected file
    previous_status: str | None = None
    account_ids: tuple[AccountId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorItem:
    """One fault that the platform found in a file."""

    error_code: str
    error_message: str
    error_details: str | None = None
    occurred_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedTransaction:
    """One payment that the bank refused out of a partly accepted file."""

    end_to_end_id: str | None = None
    amount: str | None = None
    currency: str | None = None
    reason_code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentFileRejected:
    """The platform refused a submitted file. Sums are decimal text, never floats."""

    event_id: EventId
    tenant_id: TenantId
    occurred_at: datetime
    file_id: FileId | None = None
    received_at: datetime | None = None
    file_type: str | None = None
    file_name: str | None = None
    origin: str | None = None
    transfer_type: str | None = None
    order_type: str | None = None
    message_id: str | None = None
    payment_information_ids: tuple[str, ...] = ()
    accounts: tuple[BankAccount, ...] = ()
    number_of_transactions: int | None = None
    control_sum: str | None = None
    currency: str | None = None
    requested_execution_date: date | None = None
    category_purpose: str | None = None
    errors: tuple[ErrorItem, ...] = ()

    @property
    def routing(self) -> Routing:
        """Return what decides which rules want it."""
        return Routing(EventType.PAYMENT_FILE_REJECTED, self.event_id, self.tenant_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentStatusUpdated:
    """A payment file took another status. `status` may be a code this version does not know."""

    event_id: EventId
    tenant_id: TenantId
    status: str
    previous_status: str | None = None
    account_ids: tuple[AccountId, ...] = ()
    occurred_at: datetime
    file_id: FileId | None = None
    received_at: datetime | None = None
    file_type: str | None = None
    file_name: str | None = None
    origin: str | None = None
    transfer_type: str | None = None
    order_type: str | None = None
    message_id: str | None = None
    payment_information_ids: tuple[str, ...] = ()
    accounts: tuple[BankAccount, ...] = ()
    number_of_transactions: int | None = None
    control_sum: str | None = None
    currency: str | None = None
    requested_execution_date: date | None = None
    category_purpose: str | None = None
    errors: tuple[ErrorItem, ...] = ()
    uploaded_at: datetime | None = None
    order_id: str | None = None
    reason_code: str | None = None
    reason: str | None = None
    additional_information: str | None = None
    rejected_count: int | None = None
    rejected_sum: str | None = None
    rejected_transactions: tuple[RejectedTransaction, ...] = ()

    @property
    def routing(self) -> Routing:
        """Return what decides which rules want it."""
        return Routing(
            EventType.PAYMENT_STATUS_UPDATED,
            self.event_id,
            self.tenant_id,
            self.status,
            self.previous_status,
            self.account_ids,
        )


PaymentEvent = PaymentFileRejected | PaymentStatusUpdated
