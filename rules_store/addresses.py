"""Which texts are mail addresses that people can have: the one door to email-validator.

Nothing is looked up: a name server that is away must not decide who gets a mail.
"""

from functools import lru_cache

from email_validator import SPECIAL_USE_DOMAIN_NAMES as RESERVED
from email_validator import EmailNotValidError, validate_email

from schemas.addresses import EmailAddress
from schemas.errors import InvalidValue


def parse_address(text: str) -> EmailAddress:
    """Read an address as people write it and return its identity (R23).

    Trimmed, the domain in lower case and as A-labels (IDNA 2008), the local part untouched. Raise
    `InvalidValue`, which says what is wrong and never the address, for whatever else: also
    non-ASCII local parts, which need SMTPUTF8, and quoted ones.
    """
    local, at, written = text.strip().rpartition("@")
    if not at:
        raise InvalidValue("not a mail address: it has no @")
    if not local.isascii():
        raise InvalidValue("not a mail address: what stands before the @ must be ASCII")
    domain, reason = _domain(written)
    if reason:
        raise InvalidValue(f"not a mail address: {reason}")
    try:
        return EmailAddress(f"{local}@{domain}")
    except InvalidValue:
        reason = "what stands before the @ cannot stand there"
        raise InvalidValue(f"not a mail address: {reason}") from None


@lru_cache(maxsize=65536)
def _domain(written: str) -> tuple[str, str]:
    """Return a domain in lower case and as A-labels, and why it can be none, or "".

    email-validator looks at local part and domain apart, and `EmailAddress` is as strict about
    local parts and lengths: so each domain is looked at once, which makes a million rules a
    hundred times cheaper to check. A property compares the two.
    """
    try:
        valid = validate_email(
            f"a@{written}",
            check_deliverability=False,
            allow_smtputf8=False,
            test_environment=True,  # lets .test pass, which a trial installation may use
        )
    except EmailNotValidError:  # its text would quote the domain
        return "", _why_no_domain(written)
    return (valid.ascii_domain or "").lower(), ""


def _why_no_domain(written: str) -> str:
    if "." not in written:
        return "its domain has no dot"
    name = written.lower().rstrip(".")
    if any(name == reserved or name.endswith(f".{reserved}") for reserved in RESERVED):
        return "its domain is reserved and takes no mail"
    return "its domain cannot be one"


def split_addresses(text: str) -> tuple[str, ...]:
    """Return the addresses of a list as the old form had it: split at `;`, empties gone (R24)."""
    return tuple(part.strip() for part in text.split(";") if part.strip())


def identity_of(text: str) -> str:
    """Return an address as its identity spells it, or the text where it is no address."""
    try:
        return parse_address(text).text
    except InvalidValue:
        return text
