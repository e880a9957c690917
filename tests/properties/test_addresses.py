"""Which texts are addresses: what is remembered of domains changes no answer."""

from email_validator import EmailNotValidError, validate_email
from hypothesis import example, given
from hypothesis import strategies as st

from rules_store.addresses import parse_address
from schemas.errors import InvalidValue

signs = st.sampled_from('aB1.-_+@ ;<>()[]"\\,ä\u0308ß\n\u200b')
parts = st.text(signs, max_size=8)
domains = st.sampled_from(
    ["muster.example", "Bücher.example", "a.test", "x.invalid", "muster", "a--b.de", "xn--a.de"]
)
addresses = st.one_of(
    st.emails(),
    st.text(max_size=12),
    st.builds("{}@{}".format, parts, domains | parts),
    st.builds("{}@{}.{}".format, parts, parts, st.sampled_from(["de", "example", "test", "1"])),
)


def as_a_whole(text: str) -> str | None:
    """Return what email-validator makes of the whole address, as `parse_address` spells it."""
    try:
        valid = validate_email(
            text.strip(), check_deliverability=False, allow_smtputf8=False, test_environment=True
        )
    except EmailNotValidError:
        return None
    # it normalises the case of postmaster, which is another's to decide
    return f"{text.strip().rpartition('@')[0]}@{(valid.ascii_domain or '').lower()}"


# Shown to fail where the domain is taken as it was typed, and where the
# local part is not checked.
@given(addresses)
@example("a@muster.example.")
@example("a" * 64 + "@" + ".".join(["b" * 62] * 3) + ".example")
def test_an_address_is_read_in_parts_as_it_is_as_a_whole(text: str) -> None:
    try:
        read = parse_address(text).text
    except InvalidValue:
        read = None

    assert read == as_a_whole(text)
