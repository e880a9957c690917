"""What a bounce says, and whether it counts: a mail server further on gave a mail back (RFC 3464).

Anybody can write a bounce, so hardly anything in it is believed: one counts only if it came to the
mailbox of one mail, whose name nobody can guess, the ledger knows that mail as sent, and the code
says that nobody is at the address. A forged bounce must not silence a treasurer.
"""

import hmac
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from mailer.addressing import MAILBOX
from mailer.ports import MailKey, Standing
from mailer.replies import Phase, Reply
from mailer.results import Fate, State, meaning
from mailer.tokens import address_hash, envelope_token
from schemas.addresses import EmailAddress
from schemas.errors import InvalidValue

_CODE = re.compile(r"\bsmtp\s*;\s*([245]\d\d)\b", re.IGNORECASE)
_STATUS = re.compile(r"([245]\.\d{1,3}\.\d{1,3})\b")
_UNSPECIFIC = re.compile(r"[245]\.0\.0")
_MOST_RECIPIENTS = 100  # a mail has one; who is further back in a long list is not looked for


class Heard(StrEnum):
    """What became of a bounce."""

    COUNTED = "counted"  #: the address is suppressed, and the mail's report says that it bounced
    REPEATED = "repeated"  #: it was counted before
    NO_REPORT = "no_report"  #: no delivery report in it, or none that can be read
    NOT_ADDRESSED = "not_addressed"  #: it did not come to the mailbox of a mail
    UNKNOWN_MAIL = "unknown_mail"  #: no mail of the ledger has that mailbox: forged, or too old
    OTHER_RECIPIENT = "other_recipient"  #: it is about several recipients, and none is the mail's
    NOT_FINAL = "not_final"  #: the mail is late or went on, and has not failed
    NOT_DEAD = "not_dead"  #: it failed, and not because nobody is at the address
    ENDED = "ended"  #: the mail had come to another end than being sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """What a report says of one recipient, as it stands there."""

    action: str
    status: str
    diagnostic: str
    addresses: tuple[str, ...]  #: final and original


@dataclass(frozen=True, slots=True)
class Bounce:
    """What was read of a bounce: whom it came to, in order of trust, and its report."""

    addressees: Sequence[str]
    recipients: Sequence[Returned]


class Bounces(Protocol):
    """What bounces ask of a ledger. Each method raises `LedgerUnavailable` as `Ledger` does."""

    def bearing(self, token: str) -> Standing | None:
        """Return the mail whose envelope sender bears this token."""

    def note_bounce(self, key: MailKey, reply: Reply) -> State:
        """Note that a mail bounced as nobody is at its address, and return where it stood before.

        Where it was sent it ends as failed and owes a report; where it is still tried, it need
        not be: in either case its address is suppressed for its tenant, durable on return. A mail
        with another end stays as it is.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Hears bounces. `domain` is that of the envelope senders, `key` made their tokens."""

    ledger: Bounces
    key: str
    domain: str

    def hear(self, bounce: Bounce | None) -> Heard:
        """Make of a bounce what it is worth; heard again, nothing more happens."""
        if bounce is None or not bounce.recipients:
            return Heard.NO_REPORT
        token = token_in(bounce.addressees, self.domain)
        if token is None:
            return Heard.NOT_ADDRESSED
        mail = self.ledger.bearing(token)
        if mail is None or not hmac.compare_digest(token, self._token_of(mail)):
            return Heard.UNKNOWN_MAIL
        about = _about(mail, bounce.recipients[:_MOST_RECIPIENTS], self._hash_of)
        if about is None:
            return Heard.OTHER_RECIPIENT
        return self._judged(mail, about)

    def _judged(self, mail: Standing, about: Returned) -> Heard:
        reply = reply_of(about, mail.recipient)
        if about.action.strip().lower() != "failed" or reply is None:
            return Heard.NOT_FINAL
        if meaning(reply) is not Fate.DEAD_ADDRESS:
            return Heard.NOT_DEAD
        if mail.fate is Fate.BOUNCED:
            return Heard.REPEATED
        before = self.ledger.note_bounce(mail.key, reply)
        return Heard.ENDED if before in (State.FAILED, State.SUPPRESSED) else Heard.COUNTED

    def _token_of(self, mail: Standing) -> str:
        return envelope_token(self.key, mail.tenant_id, mail.mail_id)

    def _hash_of(self, text: str) -> str | None:
        local, _, domain = text.rpartition("@")
        try:
            return address_hash(self.key, EmailAddress(f"{local}@{domain.lower()}"))
        except InvalidValue:
            return None


def token_in(addressees: Sequence[str], domain: str) -> str | None:
    """Return the token of the first addressee that is the mailbox of a mail; case may be lost."""
    mailbox = re.compile(
        rf"(?<![\w.+-]){MAILBOX}\+([0-9a-f]{{32}})@{re.escape(domain)}(?![\w.-])",
        re.IGNORECASE | re.ASCII,
    )
    found = (mailbox.search(addressee) for addressee in addressees)
    return next((match[1].lower() for match in found if match), None)


def _about(
    mail: Standing, recipients: Sequence[Returned], hash_of: Callable[[str], str | None]
) -> Returned | None:
    """Return what is said of the mail's recipient: of several, whoever has its address.

    Of a single one that is not asked: servers on the way rewrite addresses.
    """
    if len(recipients) == 1:
        return recipients[0]
    hashes = ((one, {hash_of(address) for address in one.addresses}) for one in recipients)
    return next((one for one, known in hashes if mail.address_hash in known - {None}), None)


def reply_of(returned: Returned, recipient: EmailAddress | None) -> Reply | None:
    """Return what the server further on said, or None where there is no status in it."""
    status = _STATUS.match(returned.status.strip())
    if status is None:
        return None
    text = returned.diagnostic.partition(";")[2].strip() or returned.status
    said = _CODE.search(returned.diagnostic)
    code = int(said[1]) if said else 100 * int(status[1][0]) + 50
    reply = Reply.read(code, text.encode(errors="replace"), Phase.RCPT, recipient)
    more = _STATUS.search(text)
    detail = more[1] if more and _UNSPECIFIC.fullmatch(status[1]) else status[1]
    return Reply(reply.code, detail, reply.text, reply.phase)
