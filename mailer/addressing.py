"""What stands for a recipient's address in the ledger, and whom a mail's bounces return to."""

from dataclasses import dataclass, field

from mailer.ports import AddressNames, NamesOf
from mailer.tokens import address_hash, envelope_token
from schemas.addresses import EmailAddress
from schemas.mails import OutgoingMail

MAILBOX = "bounce"  #: what stands before the token


def names_of(key: str | None) -> NamesOf:
    """Return what names a mail's recipient; without a key nobody has a name."""

    def named(mail: OutgoingMail) -> AddressNames:
        if key is None:
            return AddressNames(None, None)
        return AddressNames(
            address_hash(key, mail.recipient), envelope_token(key, mail.tenant_id, mail.mail_id)
        )

    return named


@dataclass(frozen=True, slots=True)
class Envelopes:
    """Who mails are from on the envelope: a mailbox of their own each, where bounces are read."""

    key: str | None = field(repr=False)
    domain: str | None

    def sender_of(self, mail: OutgoingMail) -> EmailAddress:
        """Return the envelope sender of a mail."""
        if self.key is None or self.domain is None:
            return mail.from_address
        token = envelope_token(self.key, mail.tenant_id, mail.mail_id)
        return EmailAddress(f"{MAILBOX}+{token}@{self.domain}")
