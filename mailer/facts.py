"""What a mail tells of its event, as pairs of a name and a finished text (email.md, section 7).

Each level shows what the one below shows, and more; `minimal` says nothing that a reader or a thief
could act on. Whatever comes from outside is made harmless here (R31).
"""

from collections.abc import Iterator
from datetime import datetime

from mailer.foreign import Harmless, harmless, harmless_file_name, harmless_id
from mailer.labels import Labels
from mailer.wording import day_as_read, in_zone, instant_as_read, number_as_read, sum_as_read
from schemas.bank_accounts import BankAccount
from schemas.events import PaymentEvent, PaymentFileRejected, PaymentStatusUpdated
from schemas.fields import is_uuid
from schemas.rules import Rule, Tenant
from schemas.vocabulary import Audience, DetailLevel

Pair = tuple[str, str]

LONGEST_ID = 35  # characters (ISO 20022, Max35Text)
LONGEST_FILE_NAME = 80  # characters (R31)
_LONGEST_WORD = 80
_MOST_ACCOUNTS = 5
_NO_BREAK = "\u00a0"  # a blank at which no line ends: half an IBAN is hard to recognise
_SALARY = "SALA"  # ISO 20022, category purpose


def detail_level(event: PaymentEvent, rule: Rule, audience: Audience) -> DetailLevel:
    """Return how much a reader of the rule's mails is told; a salary file says the least (R30)."""
    if event.category_purpose == _SALARY:
        return DetailLevel.MINIMAL
    if audience is Audience.INTERNAL:
        return rule.detail_internal
    if rule.detail_external is DetailLevel.FULL:
        return DetailLevel.STANDARD
    return rule.detail_external


def time_as_read(at: datetime, tenant: Tenant, labels: Labels) -> str:
    """Return an instant in the tenant's zone, the zone named (R25)."""
    return instant_as_read(in_zone(at, tenant.time_zone), labels.language)


def remarked(text: Harmless, labels: Labels) -> str:
    """Return foreign text with a remark where something of it is not shown."""
    remarks = labels.remarks
    shown = f"{text.text} {remarks['cut']}" if text.is_cut else text.text
    return f"{shown} {remarks['gap']}" if text.has_gap else shown


def file_facts(event: PaymentEvent, tenant: Tenant, labels: Labels) -> list[Pair]:
    """Return what `standard` tells of the file, in the order in which it is read."""
    names, language = labels.facts, labels.language
    pairs: list[Pair] = []
    if isinstance(event, PaymentStatusUpdated) and event.previous_status:
        pairs.append((names["previous_status"], _status_label(event.previous_status, labels)))
    if event.accounts:
        pairs += _accounts(event.accounts, labels)
    if event.file_name:
        file_name = remarked(harmless_file_name(event.file_name, LONGEST_FILE_NAME), labels)
        pairs.append((names["file_name"], file_name))
    if event.message_id:
        pairs.append((names["message_id"], reference(event, labels)))
    if isinstance(event, PaymentStatusUpdated) and event.order_id:
        order_id = remarked(harmless_id(event.order_id, LONGEST_ID), labels)
        pairs.append((names["order_id"], order_id))
    if event.number_of_transactions is not None and event.number_of_transactions >= 0:
        pairs.append((names["count"], number_as_read(event.number_of_transactions, language)))
    if total := amount(event, labels):
        pairs.append((names["sum"], total))
    if event.requested_execution_date is not None:
        day = day_as_read(event.requested_execution_date, language)
        pairs.append((names["execution_date"], day))
    if isinstance(event, PaymentStatusUpdated):
        pairs += _of_the_bank(event, tenant, labels)
    else:
        pairs += _origin(event, labels)
    if event.file_id:
        pairs.append((names["file_id"], _file_id(event.file_id, labels)))
    return [pair for pair in pairs if pair[1]]  # some foreign texts hold nothing to be shown


def reference(event: PaymentEvent, labels: Labels) -> str:
    """Return the message id, as a subject may show it."""
    return remarked(harmless_id(event.message_id or "", LONGEST_ID), labels)


def amount(event: PaymentEvent, labels: Labels) -> str:
    """Return the file's sum, or nothing where it has several currencies or none (R32)."""
    if event.control_sum is None or event.currency is None:
        return ""
    return sum_as_read(event.control_sum, event.currency, labels.language)


def _status_label(code: str, labels: Labels) -> str:
    return labels.status(code).label or remarked(harmless_id(code, _LONGEST_WORD), labels)


def _file_id(file_id: str, labels: Labels) -> str:
    return file_id if is_uuid(file_id) else remarked(harmless_id(file_id, LONGEST_ID), labels)


def _accounts(accounts: tuple[BankAccount, ...], labels: Labels) -> Iterator[Pair]:
    name = labels.facts["account"]
    for account in accounts[:_MOST_ACCOUNTS]:
        described = harmless(account.description or "", _LONGEST_WORD)
        shown = [remarked(described, labels)] if described.text else []
        if account.iban is not None:
            shown.append(account.iban.masked.replace(" ", _NO_BREAK))
        if shown:
            yield name, ", ".join(shown)
    if len(accounts) > _MOST_ACCOUNTS:
        yield name, more(len(accounts) - _MOST_ACCOUNTS, labels)


def more(count: int, labels: Labels) -> str:
    """Return how many there are beside those that are told."""
    return labels.remarks["more"].replace("%(count)s", number_as_read(count, labels.language))


def _of_the_bank(event: PaymentStatusUpdated, tenant: Tenant, labels: Labels) -> list[Pair]:
    names, pairs = labels.facts, list[Pair]()
    if event.uploaded_at is not None:
        pairs.append((names["uploaded_at"], time_as_read(event.uploaded_at, tenant, labels)))
    if event.rejected_count is not None and event.rejected_count >= 0:
        count = number_as_read(event.rejected_count, labels.language)
        pairs.append((names["rejected_count"], count))
    if event.rejected_sum is not None and event.currency is not None:
        total = sum_as_read(event.rejected_sum, event.currency, labels.language)
        pairs.append((names["rejected_sum"], total))
    return pairs


def _origin(event: PaymentFileRejected, labels: Labels) -> list[Pair]:
    if not event.origin:
        return []
    named = labels.origins.get(event.origin)
    told = named or remarked(harmless(event.origin, _LONGEST_WORD), labels)
    return [(labels.facts["origin"], told)]
