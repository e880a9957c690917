"""One row of the matrix, run: real senders on threads, a ledger in SQLite, a scripted server.

Every timeout, pause and lease is the setting's default divided by `scale`, so that a row takes as
long as it takes in service, only so much faster.
"""

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Any

from consumer.delivery_terms import breaker_terms, keeping_of, ledger_terms, policy_terms
from consumer.settings import Settings, load_settings, timeouts_of, variable_of
from consumer.settings_values import iso_duration
from mailer.delivery import Delivery
from mailer.desk import Desk
from mailer.feeding import Feed
from mailer.migrating import upgrade
from mailer.mime import mime_bytes
from mailer.policy import POLICY_TERMS
from mailer.ports import AddressNames, Arrival, Claim, Standing, Start, Written
from mailer.results import Result, State
from mailer.routes import Routes
from mailer.sending import Sending
from mailer.smtp import SmtpRelay
from mailer.smtp_client import MailServer, Tls
from mailer.sql import SqlLedger
from mailer.sql_suppressions import SqlSuppressions
from mailer.tables import ledger_engine
from mailer.trials import Trials
from schemas.errors import LedgerUnavailable
from schemas.mails import OutgoingMail
from schemas.records import Record
from tests.benchmarks.delivery.load import mails
from tests.campaigns.faults.rows import Row
from tests.real.waiting import LOOPBACK, wait_until
from tests.smtp_fake import SmtpFake, smtp_fake, trusting_context

SENDERS = 2
AWAY = 5  #: calls that the ledger does not answer
PATIENCE = 90.0
SHORTEST = timedelta(milliseconds=10)  #: that a setting can be
#: The settings of `deliver` that are lengths of time, with their defaults.
_WAITS = {
    name: field.default
    for name, field in Settings.model_fields.items()
    if name.startswith(("smtp_", "relay_", "policy_", "ledger_pauses", "retry_", "refusal_trial"))
    or name == "claim_lease"
    if isinstance(field.default, timedelta | tuple)
}


@dataclass(frozen=True, slots=True)
class Ending:
    """How a row ended."""

    row: str
    states: Mapping[str, State]
    copies: Mapping[str, int]
    doubts: Mapping[str, int]
    odd_bytes: int  #: copies that are not what was rendered
    suppressed: int
    seconds: float
    granted: int  #: starts
    may_doubt: bool

    @property
    def wrong(self) -> list[str]:
        """Return what breaks the promise, a sentence each."""
        found = []
        for mail_id, state in self.states.items():
            copies, allowed = self.copies.get(mail_id, 0), 1 + self.doubts[mail_id]
            if state is State.SENT and not copies:
                found.append(f"{mail_id}: lost")
            if copies > allowed:
                found.append(f"{mail_id}: {copies} copies, {allowed} allowed")
            if state is State.CLAIMED:
                found.append(f"{mail_id}: still claimed")
        if any(self.doubts.values()) and not self.may_doubt:
            found.append("in doubt, though every answer came or nothing was sent")
        if sum(self.copies.values()) > self.granted:
            found.append("more copies than starts that the ledger granted")
        if self.odd_bytes:
            found.append(f"{self.odd_bytes} copies with other bytes")
        return found

    @property
    def told(self) -> str:
        """Return the row in a line."""
        states = ", ".join(f"{n} {s}" for s, n in sorted(Counter(self.states.values()).items()))
        copies, doubts = sum(self.copies.values()), sum(self.doubts.values())
        verdict = "; ".join(self.wrong) or "ok"
        return f"{self.row}: {states}; {copies} arrived, {doubts} in doubt; {verdict}"


class Away:
    """A ledger that gives no answer for a while: before it claims, at a start, or at a result.

    It counts the starts that it grants: nothing else may be sent.
    """

    def __init__(self, ledger: SqlLedger, when: str) -> None:
        self.sql, self._when, self._left = ledger, when, AWAY
        self.granted = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self.sql, name)

    def claim(self, owner: str, most: int) -> Sequence[Claim]:
        self._fail_now_and_then(self._when == "claim")
        return self.sql.claim(owner, most)

    def write(
        self, results: Sequence[tuple[Claim, Result]], starts: Sequence[Claim] = ()
    ) -> Written:
        self._fail_now_and_then(self._when == "result" and bool(results))
        self._fail_now_and_then(self._when == "start" and bool(starts))
        written = self.sql.write(results, starts)
        self.granted += sum(start is Start.GO for start in written.started)
        return written

    def _fail_now_and_then(self, now: bool) -> None:
        if now and self._left > 0:
            self._left -= 1
            raise LedgerUnavailable("away")


def run_row(row: Row, folder: Path, scale: float) -> Ending:
    """Run a row to its end: every mail has ended, or the relay is left alone for good."""
    began = monotonic()
    faster = settings_at(scale)
    with ExitStack() as stack:
        fake = stack.enter_context(_server(row, scale))
        ledger = stack.enter_context(_ledger(folder, faster))
        deaf = stack.enter_context(deaf_port()) if row.connecting == "hang" else 1
        sent = list(mails(row.mails, row.name))
        by_value = {mail.mail_id.encode(): mail for mail in sent}
        ledger.take_in([_arrival(mail, number) for number, mail in enumerate(sent)])
        ports = [deaf if row.connecting else fake.port, fake.port]
        watched = Away(ledger, row.ledger_away)
        _work(row, watched, ports, by_value, faster, lambda: _is_over(row, ledger))
        standings = [_standing(ledger, mail) for mail in sent]
        suppressed = len(SqlSuppressions(ledger.engine).of_tenant(sent[0].tenant_id))
    contents = {mime_bytes(mail): str(mail.mail_id) for mail in sent}
    arrived = Counter(contents.get(one.content, "?") for one in fake.arrived)
    return Ending(
        row=row.name,
        states={str(one.mail_id): one.state for one in standings},
        copies=arrived,
        doubts={str(one.mail_id): one.in_doubt_count for one in standings},
        odd_bytes=arrived["?"],
        suppressed=suppressed,
        seconds=monotonic() - began,
        granted=watched.granted,
        may_doubt=row.may_doubt,
    )


def _is_over(row: Row, ledger: SqlLedger) -> bool:
    counts = ledger.counts()
    if row.forever:
        return counts[State.HELD] >= POLICY_TERMS.refusals
    return counts[State.WAITING] + counts[State.CLAIMED] == 0


@contextmanager
def deaf_port() -> Iterator[int]:
    """Give a port where connecting hangs: as many wait there already as may."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((LOOPBACK, 0), backlog=0))
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield int(listener.getsockname()[1])


@contextmanager
def _server(row: Row, scale: float) -> Iterator[SmtpFake]:
    features = ["SIZE 35882577", "ENHANCEDSTATUSCODES"]
    features += ["PIPELINING"] * row.pipelining + ["AUTH PLAIN"] * row.auth
    with smtp_fake(row.script, features=features, starttls=row.starttls) as fake:
        fake.slowness = min(0.5, 30.0 / scale)
        yield fake


@contextmanager
def _ledger(folder: Path, settings: Settings) -> Iterator[SqlLedger]:
    folder.mkdir(parents=True, exist_ok=True)
    url = f"sqlite:///{folder / 'ledger.db'}"
    upgrade(url)
    engine = ledger_engine(url)
    yield SqlLedger(engine, ledger_terms(settings))
    engine.dispose()


def settings_at(scale: float) -> Settings:
    """Return the settings of `deliver` with every length of time so much shorter."""
    spoken = {variable_of(name): _faster(default, scale) for name, default in _WAITS.items()}
    return load_settings({"PUSH_SMTP_HOST": LOOPBACK, **spoken})


def _faster(default: Any, scale: float) -> str:
    if isinstance(default, tuple):
        return ",".join(_faster(pause, scale) for pause in default)
    return iso_duration(max(SHORTEST, default / scale))


def _work(
    row: Row,
    ledger: Away,
    ports: Sequence[int],
    by_value: Mapping[bytes, OutgoingMail],
    settings: Settings,
    is_over: Callable[[], bool],
) -> None:
    """Send until it is over."""
    stop = threading.Event()
    sending = _sending(row, ledger, ports, by_value, settings)
    bodies = sending.bodies(stop, [lambda: None] * (SENDERS + 1))
    threads = [threading.Thread(target=body) for body in bodies]
    for thread in threads:
        thread.start()
    try:
        wait_until(is_over, f"{row.name} is over", PATIENCE)
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)


def _sending(
    row: Row,
    ledger: Away,
    ports: Sequence[int],
    by_value: Mapping[bytes, OutgoingMail],
    settings: Settings,
) -> Sending:
    routes = Routes(names=["relay"], seconds=monotonic, terms=breaker_terms(settings))
    policy = policy_terms(settings)
    trials = Trials(ledger=ledger.sql, owner="deliver-0", seconds=monotonic, terms=policy)
    pauses = settings.ledger_pauses
    desk = Desk(
        ledger=ledger,  # type: ignore[arg-type]  # what is not there is the real ledger's
        told=lambda noted: sending.written(noted),
        trouble_pauses=pauses,
    )
    feed = Feed(
        ledger=ledger,  # type: ignore[arg-type]  # as above
        owner="deliver-0",
        read_mail=by_value.__getitem__,
        note=desk.note,
        room=lambda: min((r for r in (routes.room(), trials.room()) if r >= 0), default=-1),
        seconds=monotonic,
        ahead=4,
        domain_rate=None,
        idle=SHORTEST,
        trouble_pauses=pauses,
    )
    sending = Sending(
        feed=feed,
        desk=desk,
        trials=trials,
        deliveries=[
            Delivery(
                relays=[_relay(row, port, settings)],
                routes=routes,
                start=desk.start,
                schedule=settings.retry_pauses[:3],
            )
            for port in ports
        ],
        counted=lambda _result, _seconds: None,
        seconds=monotonic,
    )
    return sending


def _relay(row: Row, port: int, settings: Settings) -> SmtpRelay:
    server = MailServer(
        host=LOOPBACK,
        port=port,
        tls=Tls.STARTTLS if row.starttls else Tls.NONE,
        username="push" if row.auth else None,
        password="geheim" if row.auth else None,
        hello_name="test",
    )
    keeping = keeping_of(settings)
    if row.one_mail_a_connection:
        keeping = replace(keeping, most_mails=1)
    return SmtpRelay(
        server=server,
        context=trusting_context(),
        timeouts=timeouts_of(settings),
        keeping=keeping,
    )


def _arrival(mail: OutgoingMail, number: int) -> Arrival:
    record = Record("outgoing-mail", 0, number, -1, None, mail.mail_id.encode())
    return Arrival.of(mail, record, AddressNames(f"hash-{mail.mail_id}", None))


def _standing(ledger: SqlLedger, mail: OutgoingMail) -> Standing:
    standing = ledger.standing(mail.tenant_id, mail.mail_id)
    assert standing is not None
    return standing
