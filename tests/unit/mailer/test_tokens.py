import hmac
import re
from hashlib import sha256

import pytest

from mailer.tokens import address_hash, envelope_token, unsubscribe_token
from schemas.addresses import EmailAddress
from schemas.vocabulary import MailId, RuleId, TenantId

KEY = "a key of sixteen"
ANNA, BEN = EmailAddress("anna@muster.example"), EmailAddress("ben@muster.example")
TENANT, RULE, MAIL = TenantId("m-1"), RuleId("r-1"), MailId("0" * 32)

TOKENS = {
    "unsubscribe": unsubscribe_token(KEY, TENANT, RULE, ANNA),
    "envelope": envelope_token(KEY, TENANT, MAIL),
    "address": address_hash(KEY, ANNA),
}


def test_a_token_is_the_hmac_of_its_use_and_its_parts() -> None:
    told = b"unsubscribe:1\0m-1\0r-1\0anna@muster.example"

    assert TOKENS["unsubscribe"] == hmac.new(KEY.encode(), told, sha256).hexdigest()[:32]


@pytest.mark.parametrize("use", TOKENS)
def test_a_token_fits_into_a_local_part_whatever_becomes_of_its_case(use: str) -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", TOKENS[use])


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(unsubscribe_token("another key 1234", TENANT, RULE, ANNA), id="key"),
        pytest.param(unsubscribe_token(KEY, TenantId("m-2"), RULE, ANNA), id="tenant"),
        pytest.param(unsubscribe_token(KEY, TENANT, RuleId("r-2"), ANNA), id="rule"),
        pytest.param(unsubscribe_token(KEY, TENANT, RULE, BEN), id="address"),
        pytest.param(
            unsubscribe_token(KEY, TenantId("m"), RuleId("-1r-1"), ANNA), id="the cut between"
        ),
        pytest.param(TOKENS["envelope"], id="another use"),
        pytest.param(TOKENS["address"], id="a third use"),
    ],
)
def test_a_token_stands_for_one_address_in_one_rule_of_one_tenant(other: str) -> None:
    assert TOKENS["unsubscribe"] != other


def test_an_id_or_a_key_that_is_no_unicode_still_has_a_token() -> None:
    assert unsubscribe_token(KEY, TenantId("\ud800"), RULE, ANNA) != TOKENS["unsubscribe"]
    assert address_hash("\udcff" * 16, ANNA) != TOKENS["address"]
