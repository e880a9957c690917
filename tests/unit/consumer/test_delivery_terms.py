"""Every wait of `deliver` is a setting, its default is the RFC's, and it reaches what waits."""

from datetime import timedelta

import pytest

from consumer.delivery_terms import (
    breaker_terms,
    keeping_of,
    ledger_terms,
    policy_terms,
    sender_limit,
)
from consumer.settings import Settings, load_settings, timeouts_of
from mailer.breaker import BREAKER_TERMS
from mailer.desk import TROUBLE_PAUSES
from mailer.policy import POLICY_TERMS
from mailer.ports import TERMS
from mailer.results import PAUSES
from mailer.smtp import KEEPING
from mailer.smtp_client import TIMEOUTS
from schemas.errors import InvalidSettings

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


def settings(**given: str) -> Settings:
    return load_settings({f"PUSH_{name.upper()}": text for name, text in given.items()})


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("greeting", 5 * MINUTE),  # Initial 220 Message
        ("mail", 5 * MINUTE),  # MAIL Command
        ("rcpt", 5 * MINUTE),  # RCPT Command
        ("data", 2 * MINUTE),  # DATA Initiation
        ("block", 3 * MINUTE),  # Data Block
        ("final_dot", 10 * MINUTE),  # DATA Termination
    ],
)
def test_a_default_is_no_shorter_than_rfc_5321_4_5_3_2_asks(name: str, least: timedelta) -> None:
    assert getattr(settings(), f"smtp_{name}_timeout") >= least


def test_without_settings_everything_is_as_the_parts_have_it() -> None:
    by_default = settings()

    assert timeouts_of(by_default) == TIMEOUTS
    assert keeping_of(by_default) == KEEPING
    assert breaker_terms(by_default) == BREAKER_TERMS
    assert policy_terms(by_default) == POLICY_TERMS
    assert ledger_terms(by_default) == TERMS
    assert (by_default.retry_pauses, by_default.ledger_pauses) == (PAUSES, TROUBLE_PAUSES)


@pytest.mark.parametrize("name", list(TIMEOUTS.__dataclass_fields__))
def test_a_timeout_is_what_its_setting_says(name: str) -> None:
    timeouts = timeouts_of(settings(**{f"smtp_{name}_timeout": "PT7S"}))

    changed = {f for f in TIMEOUTS.__dataclass_fields__ if getattr(timeouts, f) == 7 * SECOND}
    assert changed == {name}


def test_pauses_and_leases_are_what_their_settings_say() -> None:
    given = settings(
        relay_pause="PT1S",
        relay_longest_pause="PT2S",
        policy_pause="PT3S",
        policy_longest_pause="PT4S",
        smtp_connection_age="PT5S",
        smtp_connection_idle="PT6S",
        smtp_connection_mails="7",
        claim_lease="PT30M",
        refusal_trial="PT9S",
    )

    relay, policy = breaker_terms(given), policy_terms(given)
    assert (relay.first_pause, relay.longest_pause) == (1.0, 2.0)
    assert (policy.first_pause, policy.longest_pause) == (3.0, 4.0)
    kept = keeping_of(given)
    assert (kept.longest, kept.longest_idle, kept.most_mails) == (5 * SECOND, 6 * SECOND, 7)
    terms = ledger_terms(given)
    assert (terms.lease, terms.trial) == (30 * MINUTE, 9 * SECOND)


def test_pauses_that_follow_each_other_are_a_list_that_does_not_fall() -> None:
    assert settings(retry_pauses="PT1S,PT1M").retry_pauses == (SECOND, MINUTE)
    with pytest.raises(InvalidSettings, match="PUSH_RETRY_PAUSES: 'PT1M,PT1S': no pause may be"):
        settings(retry_pauses="PT1M,PT1S")


def test_a_lease_outlasts_what_the_timeouts_allow_after_the_start() -> None:
    with pytest.raises(InvalidSettings, match="PUSH_CLAIM_LEASE: must be longer than PT28M"):
        settings(smtp_final_dot_timeout="PT20M")
    settings(smtp_final_dot_timeout="PT20M", claim_lease="PT29M")


def test_a_sender_counts_as_stuck_only_after_one_mail_could_have_taken_all_its_time() -> None:
    one, two = settings(smtp_host="a.example"), settings(smtp_host="a.example,b.example")

    assert sender_limit(one) > TIMEOUTS.whole.total_seconds()
    assert sender_limit(two) - sender_limit(one) == TIMEOUTS.whole.total_seconds()
    assert sender_limit(settings(smtp_host="a.example", smtp_mail_timeout="PT1H")) > 3_600
