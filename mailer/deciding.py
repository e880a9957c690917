"""What becomes of a mail without asking the mail server, and what a reply says about the server."""

from datetime import timedelta

from mailer.ports import Claim
from mailer.replies import Phase, Reply
from mailer.results import Fate, Result, is_of_our_set_up, is_of_the_server

#: How long a mail waits that the mail server never had anything to say about.
WAITS = timedelta(days=5)


def before(claim: Claim, waits: timedelta = WAITS) -> Result | None:
    """Say what becomes of a claimed mail that need not be tried, or None: try it.

    A mail expires only once an attempt brought a reply to it. Without one (the relay away over a
    weekend) it waits longer: a late mail says when its event was, a mail that is gone says nothing.
    """
    if claim.is_suppressed:
        return Result(Fate.SUPPRESSED)
    patience = claim.expires_at
    if not claim.was_answered:
        patience = max(patience, claim.taken_in_at + waits)
    return Result(Fate.EXPIRED) if claim.claimed_at >= patience else None


def is_trouble(reply: Reply) -> bool:
    """Say whether a reply shows that the mail server is away, busy or set up otherwise than we.

    A refusal of a mail, temporary or for good, shows the opposite: it is there and answers.
    """
    if not reply.phase.within_transaction or is_of_our_set_up(reply):
        return True
    return is_of_the_server(reply) and (reply.code is None or reply.code >= 400)


def opens_at_once(reply: Reply) -> bool:
    """Say whether one such reply is enough: it is about us, and asking again changes nothing.

    554 instead of a greeting, credentials refused, encryption missing or not to be trusted.
    """
    refused = reply.phase is Phase.GREETING and reply.code == 554
    return refused or is_of_our_set_up(reply) or reply.phase in (Phase.STARTTLS, Phase.AUTH)


def may_go_elsewhere(reply: Reply) -> bool:
    """Say whether another mail server may be asked: nothing of the content went to this one."""
    return is_trouble(reply) and reply.phase is not Phase.CONTENT


def asks_to_slow_down(reply: Reply | None) -> bool:
    """Say whether a reply is about how fast mails come to the recipient's domain."""
    return reply is not None and reply.detail in ("4.7.0", "4.7.28")
