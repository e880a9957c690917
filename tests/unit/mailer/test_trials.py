"""The policy breaker and the ledger together: whose mails are held, however slowly they come."""

from datetime import UTC, datetime, timedelta

from mailer.memory import MemoryLedger
from mailer.ports import TERMS, AddressNames, Arrival
from mailer.replies import Phase, Reply
from mailer.results import Fate, Result, State
from mailer.trials import Trials
from schemas.records import Record
from schemas.vocabulary import MailId
from tests.builders import an_outgoing_mail

NOBODY = Reply(550, "5.1.1", "5.1.1 nobody", Phase.RCPT)
SECOND = timedelta(seconds=1)


class Slowly:
    """A process that hands over a mail now and then, to one domain after the other."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 24, tzinfo=UTC)
        self.ledger = MemoryLedger(lambda: self.at)
        self.trials = Trials(ledger=self.ledger, owner="deliver-0", seconds=self.at.timestamp)
        self.count = 0

    def refuse_every(self, pause: timedelta, times: int, domains: int = 5) -> None:
        for _ in range(times):
            self._hand_over(Result(Fate.DEAD_ADDRESS, NOBODY), domains)
            self.rest(pause)

    def _hand_over(self, result: Result, domains: int) -> None:
        mail = an_outgoing_mail(mail_id=MailId(f"mail-{self.count}"))
        record = Record("outgoing-mail", 0, self.count, -1, None, b"bytes")
        self.ledger.take_in([Arrival.of(mail, record, AddressNames(f"hash-{self.count}", None))])
        (claim,) = self.ledger.claim("deliver-0", 1)
        self.ledger.write([(claim, result)])
        self.trials.told([(claim, result.fate, f"d{self.count % domains}.example")])
        self.count += 1

    def rest(self, pause: timedelta) -> None:
        """Let time pass, with what is done now and then."""
        end = self.at + pause
        while self.at < end:
            self.at = min(end, self.at + timedelta(minutes=10))
            self.ledger.end_trials(None)

    def suppressed(self) -> int:
        return len(self.ledger.of_tenant(an_outgoing_mail().tenant_id))


# Found by it: a trial ended an hour after its own refusal, so with fewer than twenty refusals an
# hour the first ones had failed, and their addresses were suppressed, when the breaker opened.
def test_twenty_refusals_in_a_row_are_all_held_however_slowly_they_come() -> None:
    process = Slowly()

    process.refuse_every(TERMS.trial - SECOND, 20)

    assert process.ledger.counts()[State.HELD] == 20
    assert process.suppressed() == 0


def test_where_nothing_more_is_refused_a_trial_ends_with_time() -> None:
    process = Slowly()
    process.refuse_every(SECOND, 3)

    process.rest(TERMS.trial)

    assert process.suppressed() == 3


def test_a_domain_that_refuses_without_end_keeps_no_trial_open_for_ever() -> None:
    process = Slowly()

    process.refuse_every(TERMS.trial / 2, 50, domains=1)

    assert process.suppressed() >= 10
