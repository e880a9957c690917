"""The rows of the matrix: where something goes wrong, what, and what the server does then."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from tests.smtp_fake import Deed, Moment, Script, Turn


class Fault(StrEnum):
    """What goes wrong."""

    TEMPORARY = "4xx"
    PERMANENT = "5xx"
    CLOSING = "421"
    DROP = "drop"
    HANG = "hang"
    GARBAGE = "garbage"
    SLOW = "slow"
    DRIP = "drip"  #: a byte at a time, and never to the end


TIMES = 2  #: how often in a row it goes wrong; afterwards the server is friendly

_CODES: Mapping[Fault, Turn] = {
    Fault.TEMPORARY: "451 4.3.0 not now",
    Fault.PERMANENT: "554 5.3.0 never",
    Fault.CLOSING: "421 4.3.2 closing",
    Fault.DROP: Deed.DROP,
    Fault.HANG: Deed.HANG,
    Fault.GARBAGE: "blah",
    Fault.SLOW: Deed.SLOW,
    Fault.DRIP: Deed.DRIP,
}
#: After the final dot a server may have the mail, and its answer gets lost: that is the hard case.
_AFTER_THE_DOT = {Fault.DROP: Deed.KEEP_AND_DROP, Fault.HANG: Deed.KEEP_AND_HANG}


@dataclass(frozen=True, slots=True)
class Row:
    """One row: `script` is the server's; the rest says what else is out of the ordinary."""

    name: str
    script: Script = field(default_factory=dict)
    mails: int = 3
    starttls: bool = False
    auth: bool = False
    pipelining: bool = False
    one_mail_a_connection: bool = False  #: so that QUIT is said between two mails
    connecting: str = ""  #: `refused` or `hang`: what one of the senders meets, for ever
    ledger_away: str = (
        ""  #: `claim`, `start` or `result`: when the ledger gives no answer for a while
    )
    forever: bool = False  #: the server never becomes friendly
    may_doubt: bool = False  #: whether it happens after the start of a content


def matrix() -> Iterator[Row]:
    """Yield every phase with every fault, plain and pipelined where that makes a difference."""
    for moment in (Moment.GREETING, Moment.EHLO):
        yield from _rows(moment)
    yield from _rows(Moment.STARTTLS, starttls=True)
    yield from _rows(Moment.AUTH, auth=True)
    for pipelining in (False, True):
        for moment in (Moment.MAIL, Moment.RCPT, Moment.DATA, Moment.BODY, Moment.CONTENT):
            yield from _rows(moment, pipelining=pipelining)
    yield from _rows(Moment.QUIT, one_mail_a_connection=True)


def _rows(moment: Moment, **more: Any) -> Iterator[Row]:
    after_the_dot = _AFTER_THE_DOT if moment is Moment.CONTENT else {}
    way = "/pipelined" if more.get("pipelining") else ""
    started = moment in (Moment.BODY, Moment.CONTENT)
    for fault in Fault:
        turns: Sequence[Turn] = [after_the_dot.get(fault, _CODES[fault])] * TIMES
        row = Row(f"{moment.name.lower()}{way}/{fault}", {moment: turns}, may_doubt=started)
        yield replace(row, **more)


def extra_rows() -> Iterator[Row]:
    """Yield what is said by nobody: connecting, the ledger away; odd answers, a relay gone mad."""
    yield Row("connect/refused", connecting="refused")
    yield Row("connect/hang", connecting="hang")
    yield Row("ledger away before the claim", ledger_away="claim")
    yield Row("ledger away at the start of a content", ledger_away="start")
    yield Row("ledger away after the 250", ledger_away="result")
    yield Row("250 without a queue id", {Moment.CONTENT: ["250"] * 3})
    lost = {Moment.CONTENT: [Deed.DROP] * TIMES}
    yield Row("content lost before it arrived", lost, may_doubt=True)
    yield Row(
        "a relay that refuses everything",
        {Moment.RCPT: ["550 5.1.1 nobody"] * 200},
        mails=40,
        forever=True,
    )
