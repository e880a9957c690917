"""Names that only whoever has the key can make: in links, envelopes and lists of addresses.

Each is HMAC-SHA-256 over a word for its use and the parts, NUL between them, so that a token of one
use never passes for one of another. 32 hex digits: a token stands in URLs and local parts, where
case may be lost on the way.
"""

import hmac

from schemas.addresses import EmailAddress
from schemas.vocabulary import MailId, RuleId, TenantId

_HEX_DIGITS = 32  # 128 bits


def unsubscribe_token(key: str, tenant_id: TenantId, rule_id: RuleId, address: EmailAddress) -> str:
    """Return the name of one address in one rule: whoever shows it may stop that rule's mails."""
    return _token(key, "unsubscribe:1", tenant_id, rule_id, address.text)


def envelope_token(key: str, tenant_id: TenantId, mail_id: MailId) -> str:
    """Return what a mail's envelope sender bears: a bounce without it is forged."""
    return _token(key, "envelope:1", tenant_id, mail_id)


def address_hash(key: str, address: EmailAddress) -> str:
    """Return the name of an address that may be kept longer than the address itself."""
    return _token(key, "address:1", address.text)


def _token(key: str, *parts: str) -> str:
    # Ids come from outside and may hold what is no Unicode; the key from a variable's raw bytes.
    told = "\0".join(parts).encode(errors="surrogatepass")
    return hmac.digest(key.encode(errors="surrogateescape"), told, "sha256").hex()[:_HEX_DIGITS]
