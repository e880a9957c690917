"""Settings become the terms that the parts of `deliver` keep to: waits, pauses, leases."""

from dataclasses import replace
from datetime import timedelta

from consumer.settings import Settings, timeouts_of
from mailer.breaker import BREAKER_TERMS, BreakerTerms
from mailer.policy import POLICY_TERMS, PolicyTerms
from mailer.ports import Terms
from mailer.results import InDoubt
from mailer.smtp import KEEPING, Keeping

_MORE = timedelta(minutes=10)  # for a pace, a start that waits for the ledger, and our own work


def ledger_terms(settings: Settings) -> Terms:
    """Return what the ledger grants."""
    return Terms(
        lease=settings.claim_lease,
        in_doubt=InDoubt(settings.in_doubt),
        trial=settings.refusal_trial,
    )


def keeping_of(settings: Settings) -> Keeping:
    """Return how long connections are kept."""
    return replace(
        KEEPING,
        longest=settings.smtp_connection_age,
        longest_idle=settings.smtp_connection_idle,
        most_mails=settings.smtp_connection_mails,
    )


def breaker_terms(settings: Settings) -> BreakerTerms:
    """Return when a mail server is left alone."""
    return replace(
        BREAKER_TERMS,
        first_pause=settings.relay_pause.total_seconds(),
        longest_pause=settings.relay_longest_pause.total_seconds(),
    )


def policy_terms(settings: Settings) -> PolicyTerms:
    """Return when everything being refused is the mail server's fault."""
    return replace(
        POLICY_TERMS,
        first_pause=settings.policy_pause.total_seconds(),
        longest_pause=settings.policy_longest_pause.total_seconds(),
    )


def sender_limit(settings: Settings) -> float:
    """Return the seconds after which a sender that shows no sign of life is stuck.

    It may have one mail in hand and ask one mail server after the other, each with a connection
    that has to be made first.
    """
    return (timeouts_of(settings).whole * len(settings.relays) + _MORE).total_seconds()
