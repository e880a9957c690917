"""The composition root: settings become the objects of a command, and nothing else happens here."""

import logging
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from time import monotonic

from consumer import kafka_clients
from consumer.breaker import Breaker, Limits
from consumer.evaluating import Evaluating
from consumer.kafka import KafkaStream
from consumer.kafka_clients import Brokers
from consumer.kafka_letters import KafkaDeadLetters, KafkaRedriver
from consumer.kafka_topics import RepeatsTopic, wait_for_topics, warn_of_short_retention
from consumer.lag import Lag
from consumer.letters.redriving import Redriving
from consumer.letters.tenants import Peeking
from consumer.logs import log_crashes, set_up
from consumer.loop import Loop
from consumer.metrics import RulesFigures, WorkerMetrics
from consumer.planning import Planner
from consumer.ports import PreparedT, Work
from consumer.probes import Heartbeat, Probes, ProbeServer
from consumer.process import Watchdog, run_until_stopped, settle_down
from consumer.publications import Publisher
from consumer.registry import PublishedSchemas, Registry, RegistrySchemas
from consumer.repeats import FirstOffset, Repeats, none_known
from consumer.restoring import Start
from consumer.rules_in_force import RulesInForce
from consumer.settings import Settings
from mailer.contents import House
from mailer.rendering import Failed, Renderer, tell_nobody
from mailer.sources import packaged_sources, sources_with_own
from mailer.trial import trial_faults
from mailer.unsubscribing import Unsubscribing
from rules_store.cache import RulesCache
from rules_store.loading import SqlRulesSource
from rules_store.migrating import check as check_rules
from rules_store.notices import Notices
from rules_store.snapshot import Snapshot
from rules_store.sql import engine_for
from schemas.addresses import EmailAddress
from schemas.codec import Codec, WriterSchemas, encode_evaluation, encode_mail
from schemas.errors import InvalidSettings, RegistryUnavailable, RenderFailed, Temporary
from schemas.events import PaymentEvent
from schemas.framing import confluent_prefix, single_object_prefix
from schemas.instants import milliseconds
from schemas.plans import Decision
from schemas.published import EVALUATION, OUTGOING_MAIL, UNDELIVERABLE, published
from schemas.rules import WantedRule
from schemas.subjects import one_line
from schemas.vocabulary import EventType, WireFormat

logger = logging.getLogger(__name__)

VERSION = version("push-services")

#: Seconds without a step of the loop that mean it is stuck: a settling that tries everything (two
#: transactions' deadlines and a rewind) takes 60 s at most.
LOOP_LIMIT = 120.0
DELIVER = "-deliver"  #: of group and transactional id, so that both daemons may have one setting
#: Records that are collected at once where they wait: with smaller transactions several of them,
#: of which one is settled while the next is prepared; never more than a batch of default size.
COLLECTED = 5_000
ASK_AGAIN = 2.0  # seconds between two questions while something is away
NO_WAY_OUT = (
    "external readers get no List-Unsubscribe and no link to end their mails: "
    "set PUSH_UNSUBSCRIBE_URL and PUSH_TOKEN_KEY"
)


def run(settings: Settings, start: Start | None = None) -> None:
    """Be the worker until a signal comes; `start` is where to go on if a place is lost."""
    prepare(settings)
    watchdog = Watchdog(settings.step_limit.total_seconds())
    body = partial(evaluate, settings, start=start, beat=watchdog.tick)
    run_until_stopped(body, watchdog)


def prepare(settings: Settings) -> None:
    """Set up what every daemon has."""
    set_up(settings.log_level, stream=sys.stdout)
    log_crashes()


# --- what both daemons have -----------------------------------------------------------------------


def event_types(settings: Settings) -> Mapping[str, EventType]:
    """Return which event type each input topic carries."""
    return {
        settings.topic_payment_file_rejected: EventType.PAYMENT_FILE_REJECTED,
        settings.topic_payment_status_updated: EventType.PAYMENT_STATUS_UPDATED,
    }


def writer_schemas(settings: Settings) -> WriterSchemas:
    """Return where the schemas come from that records were written with."""
    if settings.schema_registry_url is None:
        return PublishedSchemas()
    return RegistrySchemas(Registry(settings.schema_registry_url.get_secret_value()))


def planner(
    settings: Settings,
    codec: Codec,
    mail_prefix: bytes,
    mails: Renderer,
    snapshot: Snapshot,
    decision: Decision,
    first_offset: FirstOffset = none_known,
) -> Planner:
    """Return the planner that decides by these rules at this instant."""
    return Planner(
        rules=snapshot,
        codec=codec,
        render=mails.render,
        encode=partial(encode_mail, prefix=mail_prefix),
        event_types=event_types(settings),
        group_id=settings.group_id,
        engine_version=VERSION,
        decision=decision,
        first_offset=first_offset,
    )


def renderer(settings: Settings, failed: Failed = tell_nobody) -> Renderer:
    """Return what renders mails, or raise `InvalidSettings` where nobody is named as sender.

    `failed` is told of each mail that became its fallback, and why.
    """
    if settings.sender is None:
        raise InvalidSettings(["PUSH_MAIL_FROM: must be set"])
    own, reply_to = settings.templates_dir, settings.mail_reply_to
    mails = Renderer.build(
        sender_name=settings.sender.name,
        sender_address=settings.sender.address,
        house=House(
            platform=one_line(settings.platform_name),
            portal_url=settings.portal_url,
            rules_url=settings.portal_rules_url,
            company=one_line(settings.mail_company or ""),
            answered=reply_to is not None,
        ),
        expires_after=settings.mail_expires,
        reply_to=None if reply_to is None else EmailAddress(reply_to),
        unsubscribing=_unsubscribing(settings),
        sources=packaged_sources() if own is None else sources_with_own(Path(own)),
        failed=failed,
    )
    faults = [] if own is None else trial_faults(mails)  # the package's own passed in its tests
    if faults:
        raise InvalidSettings(faults)
    return mails


def _unsubscribing(settings: Settings) -> Unsubscribing | None:
    if settings.token_key is None or settings.unsubscribe_url is None:
        return None
    mailbox = settings.unsubscribe_mailto
    return Unsubscribing(
        key=settings.token_key.get_secret_value(),
        url=settings.unsubscribe_url,
        mailbox=None if mailbox is None else EmailAddress(mailbox),
    )


def breaker(settings: Settings) -> Breaker | None:
    """Return what stops the worker where too much fails, or None where nothing shall."""
    if not settings.breaker:
        return None
    limits = Limits(
        in_a_row=settings.breaker_in_a_row,
        after_start=settings.breaker_after_start,
        percent=settings.breaker_percent,
        at_least=settings.breaker_at_least,
        within=settings.breaker_within,
        unreadable=settings.breaker_unreadable,
    )
    return Breaker(limits)


def publisher(settings: Settings, group_id: str, evaluation_prefix: bytes) -> Publisher:
    """Return what turns plans into publications; `group_id` is named in dead letters."""
    return Publisher(
        outgoing_mail=settings.topic_outgoing_mail,
        dead_letter=settings.topic_dead_letter,
        evaluation=settings.topic_evaluation,
        repeats=settings.repeats_topic,
        group_id=group_id,
        encode_evaluation=partial(encode_evaluation, prefix=evaluation_prefix),
    )


def brokers(settings: Settings) -> Brokers:
    """Return how Kafka is reached."""
    return Brokers(settings.kafka_bootstrap_servers or "", settings.kafka)


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """What a daemon's parts need of each other: when to stop, signs of life, how far behind."""

    settings: Settings
    stop: threading.Event
    heartbeat: Heartbeat
    lag: Lag
    watched: Callable[[], None]  # told of each step, as the heartbeat is

    def beat(self) -> None:
        """Say that the work goes on."""
        self.heartbeat.tick()
        self.watched()

    def stream(
        self, *topics: str, suffix: str = "", memory: kafka_clients.Memory | None = None
    ) -> KafkaStream:
        """Return the stream over these topics; `suffix` is that of the group and the id."""
        settings = self.settings
        return kafka_clients.stream(
            brokers(settings),
            group_id=settings.group_id + suffix,
            transactional_id=settings.transactional_id + suffix,
            topics=topics,
            most=settings.batch_size,
            wait=settings.batch_wait.total_seconds(),
            ahead=COLLECTED,
            memory=memory,
            beat=self.beat,
        )

    def loop(
        self, stream: KafkaStream, work: Work[PreparedT], postponed: Callable[[str], None]
    ) -> Loop[PreparedT]:
        """Return the loop over the stream."""
        return Loop(
            stream=stream,
            work=work,
            most=self.settings.batch_size,
            stop=self.stop,
            beat=self.beat,
            collected=self.lag.collected,
            postponed=postponed,
        )

    def wait_for_topics(self, *topics: str) -> None:
        """Wait until brokers answer and all these topics are there, or until asked to stop."""
        admin = brokers(self.settings).admin()
        servers = self.settings.kafka_bootstrap_servers or ""
        wait_for_topics(admin, servers, topics, self.stop, self.beat)

    def patiently(self, what: str, call: Callable[[], None]) -> None:
        """Make the call until it answers, saying in the log what is waited for."""
        while not self.stop.is_set():
            self.beat()
            try:
                call()
            except Temporary as error:
                logger.warning("waited_for", extra={"what": what, "detail": str(error)})
                self.stop.wait(ASK_AGAIN)
            else:
                return

    def prefixes(self, *names: str) -> Mapping[str, bytes]:
        """Return what stands before the body of each record we write, by name of its schema."""
        found: dict[str, bytes] = {}
        for name in names:
            self.patiently("schema registry", partial(self._find_prefix, name, found))
        return found

    def _find_prefix(self, name: str, found: dict[str, bytes]) -> None:
        url = self.settings.schema_registry_url
        if self.settings.writes is WireFormat.SINGLE_OBJECT or url is None:
            found[name] = single_object_prefix(published(name).fingerprint)
            return
        subject = f"{_topic_of(self.settings, name)}-value"
        found[name] = confluent_prefix(
            schema_id(
                Registry(url.get_secret_value()),
                subject,
                name,
                may_register=self.settings.schema_registry_register,
            )
        )


def schema_id(registry: Registry, subject: str, name: str, *, may_register: bool) -> int:
    """Return the registry's id of our schema, or raise `RegistryUnavailable` until it is there."""
    if may_register:
        return registry.register(subject, name)
    number = registry.look_up(subject, name)
    if number is None:
        raise RegistryUnavailable(f"subject {subject} has no such schema, and we may not register")
    return number


def _topic_of(settings: Settings, name: str) -> str:
    return {
        OUTGOING_MAIL: settings.topic_outgoing_mail,
        EVALUATION: settings.topic_evaluation,
        UNDELIVERABLE: settings.topic_outgoing_mail_undeliverable,
    }[name]


def life_of(
    settings: Settings, stop: threading.Event, name: str, watched: Callable[[], None]
) -> Life:
    """Return a daemon's life; `name` is what its loop is called in the probes."""
    heartbeat = Heartbeat(name, LOOP_LIMIT)
    return Life(settings=settings, stop=stop, heartbeat=heartbeat, lag=Lag(), watched=watched)


@contextmanager
def listening(settings: Settings, probes: Probes) -> Iterator[None]:
    """Answer probes and scrapes until the block ends, unless the settings say not to."""
    if settings.http_port == 0:
        yield
        return
    with ProbeServer(probes, settings.http_port):
        yield


# --- run ------------------------------------------------------------------------------------------


def unwatched() -> None:
    """Tell nobody of a step."""


def evaluate(
    settings: Settings,
    stop: threading.Event,
    start: Start | None = None,
    beat: Callable[[], None] = unwatched,
) -> None:
    """Turn events into outgoing-mail records until asked to stop.

    `start` is where to go on if a partition's place is lost; `beat` is called before each step.
    """
    life = life_of(settings, stop, "evaluating", beat)
    url = settings.database_url.get_secret_value()
    schemas = writer_schemas(settings)
    codec, mails = Codec(schemas), renderer(settings, _log_fallback)
    if mails.unsubscribing is None:
        logger.warning("unsubscribe_not_offered", extra={"detail": NO_WAY_OUT})
    with ExitStack() as parts:
        engine = engine_for(url)
        parts.callback(engine.dispose)
        source = SqlRulesSource(engine, settings.external_verification)
        cache = RulesCache(
            source, settings.rules_poll, monotonic, settings.rules_reread, beat=life.beat
        )
        parts.callback(cache.stop)
        notices = Notices(engine, cache.wake)
        parts.callback(notices.stop)
        in_force = RulesInForce(
            cache=cache,
            oldest=settings.max_rules_age,
            when_too_old=settings.rules_too_old,
            monotonic=monotonic,
        )
        figures = partial(_figures, in_force, notices)
        topics = event_types(settings)
        repeats = Repeats(settings.repeats_window, settings.repeats_limit)
        memory = kafka_clients.Memory(
            copy=repeats,
            repeats=settings.repeats_topic,
            evaluation=settings.topic_evaluation,
            read_evaluation=Codec(writer_schemas(settings)).decode_evaluation,  # on its own thread
            window=settings.repeats_window,
            limit=settings.repeats_limit,
            start=start,
        )
        metrics = WorkerMetrics(
            version=VERSION,
            event_types=topics,
            rules=figures,
            lag=life.lag.seconds,
            default_subjects=lambda: mails.counts.default_subjects,
            window=lambda: repeats.window_seconds(milliseconds(utc_now())),
        )
        stream = parts.enter_context(closing(life.stream(*topics, memory=memory)))
        ready = {"rules_loaded": lambda: cache.is_loaded, "group_joined": lambda: stream.assigned}
        status = partial(_worker_status, settings, figures, life.lag)
        parts.enter_context(listening(settings, told(life, ready, status, metrics.exposition)))
        life.patiently("database", partial(check_rules, url))
        cache.start(stop)
        if settings.rules_notify:
            notices.start()
        life.wait_for_topics(
            *topics,
            settings.topic_outgoing_mail,
            settings.topic_dead_letter,
            settings.topic_evaluation,
        )
        life.patiently("repeats topic", partial(_prepare_repeats, settings, tuple(topics)))
        prefixes = life.prefixes(OUTGOING_MAIL, EVALUATION)
        if stop.is_set():
            return
        work = Evaluating(
            rules=in_force,
            planner_for=partial(
                planner,
                settings,
                codec,
                prefixes[OUTGOING_MAIL],
                mails,
                first_offset=repeats.first_offset,
            ),
            enter=repeats.enter,
            publisher=publisher(settings, settings.group_id, prefixes[EVALUATION]),
            now=utc_now,
            count=metrics.settled,
            matched=metrics.matched,
            breaker=breaker(settings),
        )
        settle_down()
        logger.info("running", extra={"version": VERSION, "generation": cache.generation})
        life.loop(stream, work, metrics.postponed).run()
    logger.info("stopped")


def _log_fallback(event: PaymentEvent, wanted: WantedRule, error: RenderFailed) -> None:
    rule_id = wanted.rule.rule_id
    fields = {"event_id": event.event_id, "rule_id": rule_id, "detail": str(error)}
    logger.error("mail_fell_back", extra=fields)


def _prepare_repeats(settings: Settings, inputs: Sequence[str]) -> None:
    """Have the repeats topic, and say where a topic keeps its records too short."""
    admin = brokers(settings).admin()
    topic, window = settings.repeats_topic, settings.repeats_window
    servers = settings.kafka_bootstrap_servers or ""
    RepeatsTopic(lambda: admin, servers, topic, window).prepare(inputs)
    needed = (
        (topic, window, "PUSH_REPEATS_WINDOW"),
        (settings.topic_outgoing_mail, settings.mail_expires, "PUSH_MAIL_EXPIRES"),
    )
    warn_of_short_retention(admin, needed)


def _figures(in_force: RulesInForce, notices: Notices) -> RulesFigures | None:
    cache = in_force.cache
    if not cache.is_loaded:
        return None
    snapshot = cache.current()
    return RulesFigures(
        generation=snapshot.generation,
        age_seconds=cache.age_seconds(monotonic()),
        load_failures=cache.load_failures,
        rejected=snapshot.rejected_rules,
        tenants=len(snapshot.entries),
        healed=cache.healed,
        too_old=in_force.are_too_old,
        notices=notices.is_heard,
    )


def _worker_status(
    settings: Settings, rules: Callable[[], RulesFigures | None], lag: Lag
) -> Mapping[str, object]:
    figures = rules()
    return {
        "version": VERSION,
        "group": settings.group_id,
        "rules": figures._asdict() if figures else None,
        "seconds_behind": {f"{p.topic}/{p.partition}": s for p, s in lag.seconds().items()},
    }


# --- dead-letters ---------------------------------------------------------------------------------


def letters(settings: Settings) -> tuple[Redriving, Peeking]:
    """Return what looks at dead letters and puts them back; no broker has been asked yet."""
    servers = settings.kafka_bootstrap_servers or ""
    inputs = event_types(settings)
    peeking = Peeking(Codec(writer_schemas(settings)), inputs)
    delivery = (settings.group_id + DELIVER, settings.topic_outgoing_mail)
    redriving = Redriving(
        topic=KafkaDeadLetters(
            servers, settings.kafka, settings.topic_dead_letter, settings.group_id
        ),
        redriver=KafkaRedriver(servers, settings.kafka, f"{settings.group_id}-redrive"),
        group_id=settings.group_id,
        home=frozenset({*((settings.group_id, topic) for topic in inputs), delivery}),
        tenant_of=peeking.tenant,
        now=utc_now,
    )
    return redriving, peeking


# --- small parts ----------------------------------------------------------------------------------


def told(
    life: Life,
    ready: Mapping[str, Callable[[], bool]],
    status: Callable[[], Mapping[str, object]],
    exposition: Callable[[], bytes],
    *heartbeats: Heartbeat,
) -> Probes:
    """Return what a daemon's probes and scrapes are answered from."""
    return Probes(
        heartbeats=(life.heartbeat, *heartbeats), ready=ready, status=status, exposition=exposition
    )


def utc_now() -> datetime:
    """Return the present time."""
    return datetime.now(UTC)
