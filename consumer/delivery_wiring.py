"""The composition root of `deliver`: settings become intake, ledger, senders and upkeep."""

import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from functools import partial
from time import monotonic

from consumer.delivering import Intake
from consumer.delivery_terms import (
    breaker_terms,
    keeping_of,
    ledger_terms,
    policy_terms,
    sender_limit,
)
from consumer.kafka_letters import KafkaDeadLetters, KafkaRedriver
from consumer.kafka_mails import KafkaMails
from consumer.kafka_questions import KafkaQuestions
from consumer.lag import Lag
from consumer.ledger_count import LedgerCount
from consumer.metrics import DeliveryMetrics
from consumer.probes import Heartbeat
from consumer.process import run_until_stopped, settle_down, together
from consumer.replaying import Replaying
from consumer.reporting import Reporting
from consumer.settings import Settings, revealed, timeouts_of
from consumer.wiring import (
    DELIVER,
    VERSION,
    brokers,
    life_of,
    listening,
    prepare,
    publisher,
    told,
    unwatched,
    utc_now,
    writer_schemas,
)
from mailer.addressing import Envelopes, names_of
from mailer.bouncing import Listener
from mailer.delivery import Delivery
from mailer.desk import Desk
from mailer.feeding import Feed
from mailer.migrating import check as check_ledger
from mailer.ports import Ledger
from mailer.routes import Routes
from mailer.sending import Sending
from mailer.smtp import SmtpRelay
from mailer.smtp_client import MailServer, Tls
from mailer.sql import SqlLedger
from mailer.sql_bounces import SqlBounces
from mailer.sql_replays import SqlReplays
from mailer.sql_upkeep import SqlUpkeep
from mailer.tables import ledger_engine
from mailer.trials import Trials
from mailer.upkeep import Keeper
from schemas.codec import Codec, encode_report
from schemas.published import UNDELIVERABLE

logger = logging.getLogger(__name__)

LAST_MAIL = 8.0  # seconds that the mails in hand may still take after a stop request
_UPKEEP, _SECOND = timedelta(minutes=1), timedelta(seconds=1)  # how often, and no more often
_AHEAD = 4  # mails claimed ahead, for each sender

NOBODY_SUPPRESSED = (
    "dead addresses are not remembered, bounces not understood and no mail can be suppressed: "
    "set PUSH_TOKEN_KEY"
)


def deliver(settings: Settings) -> None:
    """Be the delivery daemon until a signal comes."""
    prepare(settings)
    run_until_stopped(partial(hand_over, settings))


def hand_over(settings: Settings, stop: threading.Event) -> None:
    """Take outgoing mails into the ledger and hand them to the mail server until asked to stop."""
    life = life_of(settings, stop, "intake", unwatched)
    url = settings.ledger.get_secret_value()
    codec = Codec(writer_schemas(settings))
    _say_what_is_missing(settings, url)
    with ExitStack() as parts:
        engine = ledger_engine(url)
        parts.callback(engine.dispose)
        ledger = SqlLedger(engine, ledger_terms(settings))
        counted = LedgerCount(ledger)
        metrics = DeliveryMetrics(
            version=VERSION,
            waiting=counted.waiting,
            held=counted.held,
            lag=life.lag.seconds,
        )
        sending, relays = _sending(settings, ledger, codec, metrics)
        topic = settings.topic_outgoing_mail
        stream = parts.enter_context(closing(life.stream(topic, suffix=DELIVER)))
        ready = {"ledger_found": counted.is_known, "group_joined": lambda: stream.assigned}
        status = partial(_delivery_status, settings, counted, life.lag, sending)
        names = ["feeding", *(f"sender-{n}" for n in range(settings.smtp_concurrency))]
        beats = [Heartbeat(name, sender_limit(settings)) for name in names]
        answers = told(life, ready, status, metrics.exposition, *beats)
        parts.enter_context(listening(settings, answers))
        life.patiently("database", partial(check_ledger, url))
        life.wait_for_topics(
            topic, settings.topic_dead_letter, settings.topic_outgoing_mail_undeliverable
        )
        prefixes = life.prefixes(UNDELIVERABLE)
        if stop.is_set():
            return
        intake = Intake(
            read_mail=codec.decode_mail,
            ledger=ledger,
            names_of=names_of(revealed(settings.token_key)),
            publisher=publisher(settings, settings.group_id + DELIVER, b""),
            now=utc_now,
            count=metrics.taken_in,
            taken_in=sending.feed.wake,
        )
        keeper = Keeper(
            ledger=ledger,
            upkeep=SqlUpkeep(engine),
            due=sending.trials.act,
            every=min(_UPKEEP, max(settings.refusal_trial, _SECOND)),
        )
        finished = threading.Event()
        parts.callback(finished.set)
        _break_off_late(stop, finished, relays)
        settle_down()
        logger.info("running", extra={"version": VERSION})
        together(
            stop,
            life.loop(stream, intake, metrics.postponed).run,
            *sending.bodies(stop, [beat.tick for beat in beats]),
            partial(counted.keep_counting, stop),
            partial(keeper.run, stop),
            partial(_reporting(settings, ledger, prefixes[UNDELIVERABLE], metrics).run, stop),
        )
    logger.info("stopped")


@contextmanager
def replaying(settings: Settings) -> Iterator[Replaying]:
    """Give what reads the outgoing-mail topic again; the ledger's tables are checked first."""
    url, group = settings.ledger.get_secret_value(), settings.group_id + DELIVER
    check_ledger(url)
    engine, terms = ledger_engine(url), ledger_terms(settings)
    servers, topic = settings.kafka_bootstrap_servers or "", settings.topic_outgoing_mail
    reach = brokers(settings)
    questions = KafkaQuestions(partial(reach.reader, group), reach.admin)
    try:
        yield Replaying(
            topic=KafkaMails(
                KafkaDeadLetters(
                    servers, settings.kafka, topic, group, setting="PUSH_TOPIC_OUTGOING_MAIL"
                ),
                questions,
            ),
            name=topic,
            read_mail=Codec(writer_schemas(settings)).decode_mail,
            ledger=SqlLedger(engine, terms),
            replays=SqlReplays(engine, terms),
            names_of=names_of(revealed(settings.token_key)),
            now=utc_now,
        )
    finally:
        questions.close()
        engine.dispose()


@contextmanager
def bounce_listener(settings: Settings) -> Iterator[Listener]:
    """Give what hears bounces; the ledger's tables are checked first."""
    url = settings.ledger.get_secret_value()
    check_ledger(url)
    engine = ledger_engine(url)
    try:
        yield Listener(
            ledger=SqlBounces(engine, ledger_terms(settings)),
            key=revealed(settings.token_key) or "",
            domain=settings.bounce_domain or "",
        )
    finally:
        engine.dispose()


def _say_what_is_missing(settings: Settings, url: str) -> None:
    if settings.smtp_tls == "none":
        logger.warning("smtp_without_encryption", extra={"host": settings.smtp_host})
    if settings.token_key is None:
        logger.warning("suppression_off", extra={"detail": NOBODY_SUPPRESSED})
    if url.startswith("sqlite"):
        logger.info("ledger_for_one_process", extra={"detail": "SQLite: run one deliver only"})


def _sending(
    settings: Settings, ledger: Ledger, codec: Codec, metrics: DeliveryMetrics
) -> tuple[Sending, Sequence[SmtpRelay]]:
    """Return the senders, and all their connections."""
    servers = _servers(settings)
    owner = settings.transactional_id + DELIVER
    routes = Routes(
        names=[server.name for server in servers],
        seconds=monotonic,
        terms=breaker_terms(settings),
        rate=settings.smtp_rate,
        changed=_log_breaker,
    )
    trials = Trials(ledger=ledger, owner=owner, seconds=monotonic, terms=policy_terms(settings))
    pauses = settings.ledger_pauses
    desk = Desk(ledger=ledger, told=lambda noted: sending.written(noted), trouble_pauses=pauses)
    feed = Feed(
        ledger=ledger,
        owner=owner,
        read_mail=codec.decode_mail,
        note=desk.note,
        room=partial(_room, routes.room, trials.room),
        seconds=monotonic,
        ahead=_AHEAD * settings.smtp_concurrency,
        domain_rate=settings.domain_rate,
        domain_most=settings.domain_concurrency,
        waits=settings.mail_waits,
        trouble_pauses=pauses,
    )
    envelopes = Envelopes(revealed(settings.token_key), settings.bounce_domain)
    connection = partial(
        SmtpRelay,
        context=ssl.create_default_context(),
        timeouts=timeouts_of(settings),
        keeping=keeping_of(settings),
    )
    relays = [
        [connection(server=server) for server in servers] for _ in range(settings.smtp_concurrency)
    ]
    sending = Sending(
        feed=feed,
        desk=desk,
        trials=trials,
        deliveries=[
            Delivery(
                relays=each,
                routes=routes,
                start=desk.start,
                sender_of=envelopes.sender_of,
                schedule=settings.retry_pauses,
            )
            for each in relays
        ],
        counted=metrics.delivered,
        seconds=monotonic,
    )
    metrics.left_alone = routes.open_breakers
    metrics.refuses_everything = lambda: trials.is_open
    return sending, [relay for each in relays for relay in each]


def _reporting(
    settings: Settings, ledger: SqlLedger, prefix: bytes, metrics: DeliveryMetrics
) -> Reporting:
    owner = settings.transactional_id + DELIVER
    servers = settings.kafka_bootstrap_servers or ""
    return Reporting(
        ledger=ledger,
        owner=owner,
        printer=KafkaRedriver(servers, settings.kafka, f"{owner}-reports"),
        topic=settings.topic_outgoing_mail_undeliverable,
        encode=partial(encode_report, prefix=prefix),
        given=metrics.reported,
    )


def _servers(settings: Settings) -> Sequence[MailServer]:
    return [
        MailServer(
            host=relay.host,
            port=relay.port,
            tls=Tls(settings.smtp_tls),
            username=revealed(settings.smtp_username),
            password=revealed(settings.smtp_password),
            hello_name=socket.getfqdn(),  # asked once: it may ask the network
        )
        for relay in settings.relays
    ]


def _room(*askings: Callable[[], int]) -> int:
    """Return the least room of all; -1 is any."""
    return min((room for room in (ask() for ask in askings) if room >= 0), default=-1)


def _log_breaker(name: str, is_open: bool) -> None:
    if is_open:
        logger.error("relay_left_alone", extra={"relay": name})
    else:
        logger.warning("relay_back", extra={"relay": name})


def _break_off_late(
    stop: threading.Event, finished: threading.Event, relays: Sequence[SmtpRelay]
) -> None:
    """End the mails in hand that outlast a stop for too long; they are in doubt then."""

    def wait() -> None:
        stop.wait()
        if not finished.wait(LAST_MAIL):
            for relay in relays:
                relay.break_off()

    threading.Thread(target=wait, name="break-off", daemon=True).start()


def _delivery_status(
    settings: Settings, counted: LedgerCount, lag: Lag, sending: Sending
) -> Mapping[str, object]:
    counts = counted.counts()
    return {
        "version": VERSION,
        "group": settings.group_id + DELIVER,
        "mails": None if counts is None else {str(state): n for state, n in counts.items()},
        "refuses_everything": sending.trials.is_open,
        "seconds_behind": {f"{p.topic}/{p.partition}": s for p, s in lag.seconds().items()},
    }
