"""Which texts are mail addresses that people can have: the one door to email-validator.

Nothing is looked up: a name server that is away must not decide who gets a mail.
"""

from email_validator import EmailNotValidError, validate_email

from schemas.addresses import EmailAddress
from schemas.errors import InvalidValue


def parse_address(text: str) -> EmailAddress:
    """Read an address as people write it and return its identity (R23).

    Trimmed, the domain in lower case and as A-labels (IDNA 2008), the local part untouched. Raise
    `InvalidValue`, which never says the address, for whatever else: also non-ASCII local parts,
    which need SMTPUTF8, and quoted ones.
    """
    trimmed = text.strip()
    local = trimmed.rpartition("@")[0]
    if not local.isascii():
        raise InvalidValue("not a mail address: what stands before the @ must be ASCII")
    try:
        valid = validate_email(
            trimmed,
            check_deliverability=False,
            allow_smtputf8=False,
            test_environment=True,  # lets .test pass, which a trial installation may use
        )
    except EmailNotValidError:
        raise InvalidValue("not a mail address") from None  # its text would quote the address
    return EmailAddress(f"{local}@{(valid.ascii_domain or '').lower()}")


def split_addresses(text: str) -> tuple[str, ...]:
    """Return the addresses of a list as the old form had it: split at `;`, empties gone (R24)."""
    return tuple(part.strip() for part in text.split(";") if part.strip())


def identity_of(text: str) -> str:
    """Return an address as its identity spells it, or the text where it is no address."""
    try:
        return parse_address(text).text
    except InvalidValue:
        return text
