"""The events of the demo, and who must get a mail for each: written by hand, not by the rules.

Whoever is named here is the measure that `push-services demo --once` is held to; it knows nothing
of the matcher and the planner.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import NAMESPACE_URL, uuid5

from schemas.bank_accounts import BankAccount, Iban
from schemas.codec import encode_event
from schemas.events import (
    ErrorItem,
    PaymentEvent,
    PaymentFileRejected,
    PaymentStatusUpdated,
    RejectedTransaction,
)
from schemas.framing import single_object_prefix
from schemas.published import published
from schemas.vocabulary import AccountId, EventId, EventType, FileId, PaymentStatus, TenantId

MUSTER, ALPENBLICK, HARBOUR = TenantId("m-10482"), TenantId("m-20917"), TenantId("m-30555")
STRANGER = TenantId("m-99001")  # nobody made rules for it

ANNA, BEN, TAX_ADVISER = "anna@muster.example", "ben@muster.example", "steuer@kanzlei.example"
LENA, TRUSTEE, GONE = (
    "lena@alpenblick.example",
    "buchhaltung@treuhand.example",
    "refused@alpenblick.example",
)
FINCH, AUDITOR = "anna@harbour-finch.example", "audit@auditors.example"

MAIN = BankAccount(AccountId("acc-7731"), Iban("DE89370400440532013000"), "Hauptkonto")
WAGES = BankAccount(AccountId("acc-7732"), Iban("DE02120300000000202051"), "Lohnkonto")
BUYING = BankAccount(AccountId("acc-0412"), Iban("DE02500105170137075030"), "Einkauf")
VIENNA = BankAccount(AccountId("acc-0413"), Iban("AT611904300234573201"), "Filiale Wien")
CURRENT = BankAccount(AccountId("acc-7731"), Iban("GB29NWBK60161331926819"), "Current account")

_ENCORES = (
    PaymentStatus.FIN_CONFIRMED,  # its rule is switched off: the reader may switch it on
    PaymentStatus.FIN_REJECTED,
    PaymentStatus.FIN_CONFIRMED,
    PaymentStatus.FIN_UPLOAD_UNCLEAR,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One published record, and who must hear of it."""

    event_type: EventType
    event_id: EventId
    key: bytes
    value: bytes
    name: str  #: what the terminal calls it
    tenant_id: TenantId
    mails_to: tuple[str, ...] = ()  #: who must get a mail, once for each time they stand here
    refused: tuple[str, ...] = ()  #: who would, but the mail server refuses them


def scenes(now: datetime) -> tuple[Scene, ...]:
    """Return the demo's stream in its order; `now` is aware UTC, events happen just before it."""
    first = _scene(_rejected_by_bank(now), ANNA, BEN)
    return (
        first,
        _scene(_update("accepted", MUSTER, PaymentStatus.FIN_ACCEPTED, now, MAIN)),
        _scene(_unknown_account(now), ANNA, TAX_ADVISER),
        _scene(_partly_accepted(now), LENA, TRUSTEE, refused=(GONE,)),
        _scene(_update("wages", MUSTER, PaymentStatus.FIN_REJECTED, now, WAGES)),
        _again(first),
        _broken(_scene(_update("broken", MUSTER, PaymentStatus.FIN_REJECTED, now, MAIN))),
        _scene(_transfer("unclear", PaymentStatus.FIN_UPLOAD_UNCLEAR, now), FINCH, AUDITOR),
        _scene(_update("stranger", STRANGER, PaymentStatus.FIN_REJECTED, now, MAIN)),
        _scene(_update("confirmed", MUSTER, PaymentStatus.FIN_CONFIRMED, now, MAIN)),
        _scene(_update("to sign", MUSTER, PaymentStatus.FIN_VEU_FORWARDED, now, WAGES)),
        _scene(_unchanged(now)),
        _scene(_unheard_of(now)),
        _scene(_refused_call(now), LENA),
        _scene(_salaries(now), ANNA, TAX_ADVISER),
        _scene(_transfer("failed", PaymentStatus.FIN_UPLOAD_FAILED, now, CURRENT), FINCH, AUDITOR),
    )


def encore(number: int, now: datetime) -> Scene:
    """Return one of the endless further events; no list of recipients: rules may have changed."""
    status = _ENCORES[number % len(_ENCORES)]
    event = _update(f"encore {number} {now}", MUSTER, status, now, MAIN)
    return _scene(replace(event, control_sum=f"{250 + 137 * number}.00", previous_status=None))


def _scene(event: PaymentEvent, *mails_to: str, refused: tuple[str, ...] = ()) -> Scene:
    routing = event.routing
    prefix = single_object_prefix(published(routing.event_type).fingerprint)
    return Scene(
        event_type=routing.event_type,
        event_id=event.event_id,
        key=(event.file_id or event.event_id).encode(),
        value=encode_event(event, prefix),
        name=routing.status or "file rejected",
        tenant_id=event.tenant_id,
        mails_to=mails_to,
        refused=refused,
    )


def _again(scene: Scene) -> Scene:
    """Return the same record once more: everybody has had their mail."""
    return replace(scene, name=f"{scene.name} (again)", mails_to=(), refused=())


def _broken(scene: Scene) -> Scene:
    """Return a record that was cut in the middle of its routing fields."""
    return replace(scene, name=f"{scene.name} (cut off)", value=scene.value[:60])


def _id(name: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"push-services demo: {name}"))


def _update(
    name: str, tenant_id: TenantId, status: str, now: datetime, *accounts: BankAccount
) -> PaymentStatusUpdated:
    return PaymentStatusUpdated(
        event_id=EventId(_id(f"event {name}")),
        tenant_id=tenant_id,
        status=status,
        previous_status=PaymentStatus.FIN_UPLOAD_SUCCEEDED.value,
        account_ids=tuple(account.account_id for account in accounts),
        occurred_at=_just_before(now),
        file_id=FileId(_id(f"file {name}")),
        received_at=_just_before(now, minutes=42),
        file_type="pain",
        file_name="zahllauf_kw48.xml",
        origin="api",
        transfer_type="EBICS",
        order_type="CCT",
        message_id="ZL-26-48",
        accounts=accounts,
        number_of_transactions=57,
        control_sum="92310.55",
        currency="EUR",
        requested_execution_date=now.date(),
        uploaded_at=_just_before(now, minutes=41),
        order_id="N9K2",
    )


def _just_before(now: datetime, minutes: int = 1) -> datetime:
    return (now - timedelta(minutes=minutes)).astimezone(UTC).replace(microsecond=0)


def _rejected_by_bank(now: datetime) -> PaymentStatusUpdated:
    return replace(
        _update("rejected", MUSTER, PaymentStatus.FIN_REJECTED, now, MAIN),
        file_name="miete_q4.xml",
        origin="import",
        message_id="MIETE-26Q4",
        number_of_transactions=1,
        control_sum="8450.00",
        order_id="N9GB",
        reason_code="AC04",
        reason="Konto des Empfaengers ist aufgeloest",
        additional_information="Auftrag N9GB\nDatei abgelehnt\n<Details im Protokoll>",
    )


def _partly_accepted(now: datetime) -> PaymentStatusUpdated:
    status = PaymentStatus.FIN_PARTIALLY_ACCEPTED
    return replace(
        _update("partly", ALPENBLICK, status, now, BUYING, VIENNA),
        previous_status=PaymentStatus.FIN_ACCEPTED.value,
        reason_code="NARR",
        rejected_count=2,
        rejected_sum="412.90",
        rejected_transactions=tuple(_refused_payments()),
    )


def _refused_payments() -> Iterator[RejectedTransaction]:
    for reference, amount, code in (("RE-88121", "212.90", "AC01"), ("RE-88140", "200.00", "AG01")):
        yield RejectedTransaction(
            end_to_end_id=reference, amount=amount, currency="EUR", reason_code=code
        )


def _transfer(
    name: str, status: PaymentStatus, now: datetime, *accounts: BankAccount
) -> PaymentStatusUpdated:
    return replace(
        _update(f"transfer {name}", HARBOUR, status, now, *accounts),
        previous_status=PaymentStatus.KON_ACCEPTED_AND_QUEUED.value,
        file_type="dtazv",
        file_name="overseas.dtazv",
        origin="manual",
        message_id=None,
        number_of_transactions=2,
        control_sum="1500",
        currency=None,  # of several currencies
        uploaded_at=None,
        order_id=None,
    )


def _unchanged(now: datetime) -> PaymentStatusUpdated:
    unclear = PaymentStatus.FIN_UPLOAD_UNCLEAR
    return replace(_transfer("still unclear", unclear, now), previous_status=unclear.value)


def _unheard_of(now: datetime) -> PaymentStatusUpdated:
    return _update("unheard of", ALPENBLICK, "FIN_SETTLED_NEXT_DAY", now, BUYING)


def _unknown_account(now: datetime) -> PaymentFileRejected:
    return PaymentFileRejected(
        event_id=EventId(_id("event unknown account")),
        tenant_id=MUSTER,
        occurred_at=_just_before(now),
        file_id=FileId(_id("file unknown account")),
        received_at=_just_before(now),
        file_type="pain",
        file_name="lieferanten_1124.xml",
        origin="api",
        transfer_type="EBICS",
        order_type="CCT",
        message_id="MSG-2026-1124-01",
        number_of_transactions=3,
        control_sum="3000.00",
        currency="EUR",
        requested_execution_date=now.date(),
        errors=(
            ErrorItem(
                error_code="ERR-04-0009",
                error_message="UnknownBankAccount",
                error_details="No account for IBAN DE75512108001245126199 in this client",
                occurred_at=_just_before(now),
            ),
        ),
    )


def _refused_call(now: datetime) -> PaymentFileRejected:
    """Return the refusal of a call that never became a file."""
    return PaymentFileRejected(
        event_id=EventId(_id("event refused call")),
        tenant_id=ALPENBLICK,
        occurred_at=_just_before(now),
        origin="api",
        errors=(ErrorItem(error_code="ERR-01-0012", error_message="MissingParameter"),),
    )


def _salaries(now: datetime) -> PaymentFileRejected:
    return replace(
        _unknown_account(now),
        event_id=EventId(_id("event salaries")),
        file_id=FileId(_id("file salaries")),
        file_name="gehalt_november <neu>.xml",
        origin="manual",
        message_id="LOHN-2026-11",
        number_of_transactions=48,
        control_sum="131204.77",
        category_purpose="SALA",
    )
