"""Why a file was refused, decoded: reason codes, errors, the bank's own words, rejected payments.

Codes are told in the reader's language; one that no table has is told with the bank's own text, and
to be cleared with the bank (domain.md, section 5).
"""

from collections.abc import Iterator, Sequence

from mailer.facts import LONGEST_ID, Pair, more, remarked
from mailer.foreign import harmless, harmless_id
from mailer.labels import Labels, Tone
from mailer.wording import sum_as_read
from schemas.events import ErrorItem, PaymentEvent, PaymentStatusUpdated, RejectedTransaction
from schemas.reason_codes import Reason, ebics_reason_in, reason_of
from schemas.vocabulary import PaymentStatus, ReasonClass

_LONGEST_REASON = 300  # characters (R31)
_LONGEST_INFORMATION = 600  # characters (R31)
_LONGEST_DETAILS = 300
_LONGEST_NAME = 80
_LONGEST_CODE = 20
_MOST_ERRORS = 20
_MOST_PAYMENTS = 20  # email.md, section 7
_MOST_LINES = 20
_MORE, _NONE = "…", "–"  # names of what has none


def reasons(event: PaymentEvent, labels: Labels) -> list[Pair]:
    """Return what `standard` tells of the reason, each with what it asks for."""
    pairs: list[Pair] = []
    if isinstance(event, PaymentStatusUpdated):
        pairs += _of_the_bank(event, labels)
    elif not event.errors:
        pairs.append((labels.reasons["none"], labels.remarks["not_given"]))
    pairs += _errors(event.errors, labels)
    return pairs


def rejected_payments(event: PaymentEvent, labels: Labels) -> list[Pair]:
    """Return what `full` tells of the payments that the bank refused: the first twenty."""
    if not isinstance(event, PaymentStatusUpdated) or not event.rejected_transactions:
        return []
    listed = event.rejected_transactions[:_MOST_PAYMENTS]
    pairs = [_payment(payment, event.currency, labels) for payment in listed]
    rest = max(len(event.rejected_transactions), event.rejected_count or 0) - len(listed)
    return [*pairs, (_MORE, more(rest, labels))] if rest else pairs


def bank_information(event: PaymentEvent, labels: Labels) -> list[str]:
    """Return the lines of the bank's log that `full` tells."""
    if not isinstance(event, PaymentStatusUpdated) or not event.additional_information:
        return []
    shown: list[str] = []
    room = _LONGEST_INFORMATION
    lines = [line for line in event.additional_information.splitlines() if line.strip()]
    for line in lines[:_MOST_LINES]:
        if room <= 0:
            break
        told = harmless(line, room)
        shown.append(remarked(told, labels))
        room -= len(told.text)
    if len(shown) < len(lines):
        shown.append(labels.remarks["cut"])
    return shown


def _of_the_bank(event: PaymentStatusUpdated, labels: Labels) -> Iterator[Pair]:
    code = (event.reason_code or "").strip()
    reason = reason_of(code)
    names = labels.reasons
    if reason is not None:
        yield names["code"], _decoded(reason, labels)
    elif code:
        yield names["code"], remarked(harmless_id(code, _LONGEST_CODE), labels)
    elif event.status == PaymentStatus.FIN_REJECTED:
        yield names["code"], labels.remarks["not_given_by_bank"]
    if event.reason and (told := remarked(harmless(event.reason, _LONGEST_REASON), labels)):
        yield names["bank"], told
    if code:
        kind = ReasonClass.ASK_BANK if reason is None else reason.reason_class
        yield from _advice(kind, event.status, labels)
    yield from _upload_codes(event, labels)


def _decoded(reason: Reason, labels: Labels) -> str:
    return f"{reason.code}: {reason.text[labels.language]}"


def _advice(kind: ReasonClass, status: str, labels: Labels) -> Iterator[Pair]:
    """Say what a reason asks for, but only of a file that was refused.

    Where a transfer is unclear, "submit again" would be the one wrong thing to say; of a file that
    was accepted in part only the rest may be submitted again.
    """
    if labels.status(status).tone is not Tone.NEGATIVE:
        return
    advice = labels.advice.get(kind)
    if status == PaymentStatus.FIN_PARTIALLY_ACCEPTED:
        advice = labels.advice_on_part.get(kind, advice)
    if advice is not None:
        yield labels.reasons["advice"], advice


def _upload_codes(event: PaymentStatusUpdated, labels: Labels) -> Iterator[Pair]:
    found: dict[str, Reason] = {}
    for error in event.errors[:_MOST_ERRORS]:
        reason = ebics_reason_in((error.error_details or "")[:_LONGEST_DETAILS])
        if reason is not None:
            found.setdefault(reason.code, reason)
    for reason in found.values():
        yield labels.reasons["ebics"], _decoded(reason, labels)
        yield from _advice(reason.reason_class, event.status, labels)


def _errors(errors: Sequence[ErrorItem], labels: Labels) -> Iterator[Pair]:
    for error in errors[:_MOST_ERRORS]:
        code = remarked(harmless_id(error.error_code, _LONGEST_CODE), labels)
        name = labels.reasons["error"].replace("%(code)s", code).rstrip()
        yield name, ": ".join(_error(error, labels)) or labels.remarks["not_given"]
    if len(errors) > _MOST_ERRORS:
        yield _MORE, more(len(errors) - _MOST_ERRORS, labels)


def _error(error: ErrorItem, labels: Labels) -> Iterator[str]:
    named = remarked(harmless(error.error_message, _LONGEST_NAME), labels)
    meaning = labels.errors.get(error.error_message)
    if meaning is not None:
        yield f"{meaning} ({named})"
    elif named:
        yield named
    if error.error_details:
        told = remarked(harmless(error.error_details, _LONGEST_DETAILS), labels)
        if told:
            yield told


def _payment(payment: RejectedTransaction, currency: str | None, labels: Labels) -> Pair:
    told: list[str] = []
    counted_in = payment.currency or currency
    if payment.amount is not None and counted_in is not None:
        told.append(sum_as_read(payment.amount, counted_in, labels.language))
    if payment.reason_code:
        reason = reason_of(payment.reason_code)
        code = harmless_id(payment.reason_code, _LONGEST_CODE)
        told.append(remarked(code, labels) if reason is None else _decoded(reason, labels))
    name = remarked(harmless_id(payment.end_to_end_id or "", LONGEST_ID), labels)
    return name or _NONE, ", ".join(told) or _NONE
