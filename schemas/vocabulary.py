"""The words of the field: closed sets of them, each with its sentence, and identities as types.

The platform's own names are kept (domain.md, sections 2 and 3); there is no second set.
"""

from enum import StrEnum
from typing import NewType

TenantId = NewType("TenantId", str)
RuleId = NewType("RuleId", str)
UserId = NewType("UserId", str)
AccountId = NewType("AccountId", str)
EventId = NewType("EventId", str)
FileId = NewType("FileId", str)
MailId = NewType("MailId", str)
Generation = NewType("Generation", int)


class Word(StrEnum):
    """A word of a closed set; equal to its text, also as a key."""

    __hash__ = str.__hash__  # asked for every record and mail; the enum's own is Python code


class EventType(Word):
    """What happened to a payment file. The value is also the topic's default name."""

    PAYMENT_FILE_REJECTED = "payment-file-rejected"  #: the platform refused a file
    PAYMENT_STATUS_UPDATED = "payment-status-updated"  #: a file took another status


class PaymentStatus(Word):
    """How far a payment file is. An unknown code is data, so events carry `str`."""

    KON_ACCEPTED_AND_QUEUED = "KON_ACCEPTED_AND_QUEUED"
    KON_REJECTED = "KON_REJECTED"
    FIN_UPLOAD_SUCCEEDED = "FIN_UPLOAD_SUCCEEDED"
    FIN_UPLOAD_FAILED = "FIN_UPLOAD_FAILED"
    FIN_UPLOAD_UNCLEAR = "FIN_UPLOAD_UNCLEAR"
    FIN_VEU_FORWARDED = "FIN_VEU_FORWARDED"
    FIN_VEU_CANCELED = "FIN_VEU_CANCELED"
    FIN_ACCEPTED = "FIN_ACCEPTED"
    FIN_PARTIALLY_ACCEPTED = "FIN_PARTIALLY_ACCEPTED"
    FIN_CONFIRMED = "FIN_CONFIRMED"
    FIN_REJECTED = "FIN_REJECTED"

    @property
    def tickable(self) -> bool:
        """Say whether a rule can wait for it: KON_REJECTED is an event type of its own (R11)."""
        return self is not PaymentStatus.KON_REJECTED


TICKABLE = tuple(status for status in PaymentStatus if status.tickable)

#: Named choices of statuses that a rule may use instead of a list (domain.md 1.1).
STATUS_PRESETS: dict[str, frozenset[PaymentStatus]] = {
    "not_executed": frozenset(
        {
            PaymentStatus.FIN_UPLOAD_FAILED,
            PaymentStatus.FIN_UPLOAD_UNCLEAR,
            PaymentStatus.FIN_VEU_CANCELED,
            PaymentStatus.FIN_REJECTED,
        }
    )
}


class Audience(Word):
    """Who reads a mail."""

    INTERNAL = "internal"  #: a user of the tenant
    EXTERNAL = "external"  #: a free address that the tenant wrote into the rule


class Language(Word):
    """The languages a mail can be written in."""

    DE = "de"
    EN = "en"


class DetailLevel(Word):
    """How much a mail tells (email.md, section 7)."""

    MINIMAL = "minimal"
    STANDARD = "standard"
    FULL = "full"


class SubjectFact(Word):
    """A fact that a subject shows only if its rule opts in (R33)."""

    AMOUNT = "amount"
    REFERENCE = "reference"


class ReasonClass(Word):
    """What a bank's reason code asks of the reader (domain.md, section 5)."""

    FIX_DATA = "F"  #: correct the data and submit again
    ASK_BANK = "B"  #: clear it with the bank or the payee
    CHECK_SIGNATURES = "S"
    AWAIT_CAUSE = "R"  #: once the cause is gone, submit again
    CHECK_ACCESS = "A"  #: bank access and rights
    NOTHING = "-"  #: the status says it


class LeftOut(Word):
    """Why a recipient of a rule gets no mail (R22, R24)."""

    INACTIVE = "inactive"  #: the user is switched off
    DELETED = "deleted"  #: the rule names a user that is gone
    NO_ADDRESS = "no_address"  #: the user has no address
    BAD_ADDRESS = "bad_address"  #: no mail can be addressed to it
    UNVERIFIED = "unverified"  #: external, and verification is asked for


class Verdict(Word):
    """What one rule says to one event; the first reason against it, in this order, wins."""

    OTHER_TENANT = "other_tenant"
    DISABLED = "disabled"
    OTHER_EVENT = "other_event"
    UNKNOWN_STATUS = "unknown_status"
    UNCHANGED = "unchanged"
    OTHER_STATUS = "other_status"
    OTHER_ACCOUNT = "other_account"
    WANTED = "wanted"  #: before its recipients are looked at


class Outcome(Word):
    """What became of a record. Each has exactly one: the first that holds, in this order."""

    UNREADABLE = "unreadable"  #: not an event; its dead letter says why
    REPEATED = "repeated"  #: a rule wants it, but its event id was settled before
    NO_RULES = "no_rules"  #: the tenant is unknown or has no rule
    UNKNOWN_STATUS = "unknown_status"  #: a status code this version does not know (R12)
    UNCHANGED = "unchanged"  #: the status is the one before (R13)
    NO_MATCH = "no_match"  #: no enabled rule of the tenant wants it
    FAILED = "failed"  #: a rule's mails could not be made; its dead letter says why
    MAILED = "mailed"  #: at least one mail, and nothing failed
    NO_RECIPIENT = "no_recipient"  #: wanted, but everybody was left out (R22)
    LOST = "lost"  #: never read: retention took it first


class DeadLetterReason(Word):
    """Why a record, or one rule's part of it, became a dead letter."""

    NULL_VALUE = "null_value"  #: the record has no value
    UNKNOWN_FRAMING = "unknown_framing"  #: neither Confluent framing nor single-object encoding
    UNKNOWN_SCHEMA = "unknown_schema"  #: nobody knows the writer schema, or it is another event's
    UNDECODABLE = "undecodable"  #: the bytes are not Avro of their schema
    INVALID_FIELD = "invalid_field"  #: a field cannot be meant; the detail names it
    RENDER_FAILED = "render_failed"  #: a rule's mails could not be made
    INTERNAL = "internal"  #: a fault of push-services itself; the detail names its place


class WireFormat(Word):
    """How the schema of a value is named on the wire."""

    CONFLUENT = "confluent"
    SINGLE_OBJECT = "single-object"
