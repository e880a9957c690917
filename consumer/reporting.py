"""Tells of mails that will not come: reports the ledger owes, to `outgoing-mail-undeliverable`.

At least once: a row owes its report until the broker has acknowledged it, and two processes may
both give one. Keyed by mail id.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from mailer.ports import Reports, Standing
from schemas.errors import Temporary
from schemas.records import Publication
from schemas.reports import UndeliverableMail

logger = logging.getLogger(__name__)

MOST = 500  #: reports given at once
LOOK = 1.0  # seconds between two looks
AWAY = 5.0  # seconds before the next try where the ledger or Kafka gave no answer


class Printer(Protocol):
    """Where reports are published. Both methods raise `Temporary` where that is not certain."""

    def take_over(self) -> None:
        """Be ready, whatever became of what was published before."""

    def publish(self, publications: Sequence[Publication]) -> None:
        """Publish all, durable on return."""


def report_of(mail: Standing) -> UndeliverableMail:
    """Return what there is to say of a mail that will not come."""
    return UndeliverableMail(
        mail_id=mail.mail_id,
        event_id=mail.event_id,
        rule_id=mail.rule_id,
        tenant_id=mail.tenant_id,
        recipient=mail.recipient,
        state=str(mail.state),
        fate=str(mail.fate),
        reply_code=mail.reply_code,
        reply_detail=mail.reply_detail,
        reply_text=mail.reply_text,
        attempts=mail.attempts,
        may_have_arrived=mail.in_doubt_count > 0,
        taken_in_at=mail.taken_in_at,
        finished_at=mail.finished_at or mail.taken_in_at,
    )


@dataclass(slots=True, kw_only=True)
class Reporting:
    """Gives owed reports; `run` is a thread of its own."""

    ledger: Reports
    owner: str
    printer: Printer
    topic: str
    encode: Callable[[UndeliverableMail], bytes]
    given: Callable[[int], None]  #: told how many reports were given
    _is_ready: bool = False

    def run(self, stop: threading.Event) -> None:
        """Give reports until stopped; what was not given then is owed further on."""
        while not stop.is_set():
            stop.wait(self.step())

    def step(self) -> float:
        """Give the reports that are due and return how many seconds to wait before the next."""
        try:
            mails = self.ledger.owed_reports(self.owner, MOST)
            if not mails:
                return LOOK
            self._publish([self._publication(mail) for mail in mails])
            self.ledger.reported([mail.key for mail in mails])
        except Temporary as error:
            logger.warning("reports_postponed", extra={"detail": str(error)})
            return AWAY
        self.given(len(mails))
        return 0.0 if len(mails) == MOST else LOOK

    def _publish(self, publications: Sequence[Publication]) -> None:
        if not self._is_ready:
            self.printer.take_over()
        self._is_ready = False  # until this one is through
        self.printer.publish(publications)
        self._is_ready = True

    def _publication(self, mail: Standing) -> Publication:
        value = self.encode(report_of(mail))
        return Publication(topic=self.topic, key=mail.mail_id.encode(), value=value)
