"""What the demo runs on: broker, rules database, inbox, worker and delivery daemon, and their end.

All of it lives in this process and in one temporary folder; taking it down leaves nothing behind.
"""

import logging
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib import resources
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory

from consumer import delivery_wiring, wiring
from consumer.demo.broker import PROPERTIES, DemoBroker
from consumer.demo.events import Scene
from consumer.demo.telling import Told, tell
from consumer.evaluating import whole_milliseconds
from consumer.inbox.sink import Inbox
from consumer.logs import JsonLines
from consumer.planning import Planner
from consumer.process import together
from consumer.settings import REQUIRED_BY_DELIVER, REQUIRED_BY_RUN, Settings, load_settings
from mailer.migrating import upgrade as upgrade_ledger
from mailer.rendering import Renderer
from mailer.sql import SqlLedger
from mailer.tables import ledger_engine
from rules_store.files.reading import RulesFile, read_rules_files
from rules_store.migrating import upgrade as upgrade_rules
from rules_store.snapshot import Snapshot
from rules_store.sql import SqlRulesStore, engine_for
from schemas.codec import Codec
from schemas.framing import single_object_prefix
from schemas.plans import Decision
from schemas.published import OUTGOING_MAIL, published
from schemas.rules import RulesAt
from schemas.vocabulary import EventType, MailId

RULES_FILE = "rules.yaml"
_LOGGERS = ("consumer", "mailer", "rules_store", "librdkafka")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Everything that runs while the demo does."""

    settings: Settings
    environ: Mapping[str, str]  #: the variables that the settings were read from
    folder: Path
    broker: DemoBroker
    inbox: Inbox
    store: SqlRulesStore
    ledger: SqlLedger
    daemons: "Daemons"
    codec: Codec
    mails: Renderer

    def publish(self, scene: Scene, planned: Collection[MailId]) -> Told:
        """Publish a scene's record and return what the rules of this moment make of it.

        `planned` are the mails of all records before.
        """
        record = self.broker.publish(self._topic(scene.event_type), scene.key, scene.value)
        loaded = self.store.load()
        verification = self.settings.external_verification
        snapshot = Snapshot.compile(loaded.rules, loaded.rejected, verification)
        return tell(self._planner(snapshot), loaded.rules, record, planned)

    def _topic(self, wanted: EventType) -> str:
        types = wiring.event_types(self.settings)
        return next(topic for topic, event_type in types.items() if event_type is wanted)

    def _planner(self, snapshot: Snapshot) -> Planner:
        prefix = single_object_prefix(published(OUTGOING_MAIL).fingerprint)
        decision = Decision(whole_milliseconds(datetime.now(UTC)), snapshot.generation)
        return wiring.planner(self.settings, self.codec, prefix, self.mails, snapshot, decision)

    def decided(self) -> int:
        """Return how many records the worker has settled, by its own evaluations."""
        values = self.broker.values(self.settings.topic_evaluation)
        evaluations = (self.codec.decode_evaluation(value) for value in values)
        return sum(sum(evaluation.outcomes.values()) for evaluation in evaluations)

    def dead_letters(self) -> int:
        """Return how many dead letters the worker has written."""
        return len(self.broker.values(self.settings.topic_dead_letter))

    def unfinished(self) -> int:
        """Return how many mails of the ledger still have a way to go."""
        return sum(self.ledger.counts().values())

    def rules(self) -> RulesAt:
        """Return the rules as they stand in the database."""
        return self.store.load().rules


class Daemons:
    """The worker and the delivery daemon, on threads of this process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stop = threading.Event()
        self._failures: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, name="daemons", daemon=True)

    def start(self) -> None:
        """Begin; what goes wrong is raised by `check`."""
        self._thread.start()

    def _run(self) -> None:
        stop, settings = self._stop, self._settings
        try:
            together(
                stop,
                partial(wiring.evaluate, settings, stop),
                partial(delivery_wiring.hand_over, settings, stop),
            )
        except BaseException as error:  # noqa: BLE001  raised on the demo's own thread
            self._failures.append(error)

    def check(self) -> None:
        """Raise what ended a daemon, if something did."""
        if self._failures:
            raise self._failures[0]

    def stop(self) -> None:
        """Stop both and wait until they have."""
        self._stop.set()
        self._thread.join()


@contextmanager
def set_up(http_port: int) -> Iterator[Stage]:
    """Start everything, and take it down at the end whatever happens meanwhile."""
    with ExitStack() as parts:
        folder = Path(parts.enter_context(TemporaryDirectory(prefix="push-services-demo-")))
        parts.enter_context(_logging_to(folder / "push-services.log"))
        inbox = Inbox.start(http_port=http_port)
        parts.callback(inbox.stop)
        broker = DemoBroker.start(_topics(_settings({})))
        environ = _environ(folder, broker, inbox)
        settings = _settings(environ)
        url = settings.database_url.get_secret_value()
        _prepare_database(url)
        daemons = Daemons(settings)
        daemons.start()
        parts.callback(daemons.stop)
        rules, ledger = engine_for(url), ledger_engine(url)
        parts.callback(rules.dispose)
        parts.callback(ledger.dispose)
        yield Stage(
            settings=settings,
            environ=environ,
            folder=folder,
            broker=broker,
            inbox=inbox,
            store=SqlRulesStore(rules),
            ledger=SqlLedger(ledger),
            daemons=daemons,
            codec=Codec(wiring.writer_schemas(settings)),
            mails=wiring.renderer(settings),
        )


def _environ(folder: Path, broker: DemoBroker, inbox: Inbox) -> Mapping[str, str]:
    """Return the variables under which `run` and `deliver` would do the same."""
    kafka = {f"PUSH_KAFKA_{name.upper().replace('.', '_')}": v for name, v in PROPERTIES.items()}
    return {
        "PUSH_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
        **kafka,
        "PUSH_TRANSACTIONAL_ID": "push-services-demo",
        "PUSH_DATABASE_URL": f"sqlite:///{folder / 'push-services.db'}",
        "PUSH_RULES_POLL": "PT0.1S",
        "PUSH_MAIL_FROM": "konfipay <benachrichtigung@mail.push.example>",
        "PUSH_PORTAL_URL": "https://portal.push.example",
        "PUSH_PORTAL_RULES_URL": "https://portal.push.example/push-services",
        "PUSH_MAIL_COMPANY": "Beispiel GmbH, Musterstraße 1, 12345 Berlin (invented)",
        "PUSH_UNSUBSCRIBE_URL": "https://portal.push.example/u",
        "PUSH_SMTP_HOST": "127.0.0.1",
        "PUSH_SMTP_PORT": str(inbox.smtp_port),
        "PUSH_SMTP_TLS": "none",
        "PUSH_SMTP_CONCURRENCY": "4",
        "PUSH_TOKEN_KEY": token_hex(16),
        "PUSH_HTTP_PORT": "0",
    }


def _settings(environ: Mapping[str, str]) -> Settings:
    required = {*REQUIRED_BY_RUN, *REQUIRED_BY_DELIVER} if environ else ()
    return load_settings(environ, required=required)


def _topics(settings: Settings) -> tuple[str, ...]:
    return (
        settings.topic_payment_file_rejected,
        settings.topic_payment_status_updated,
        settings.topic_outgoing_mail,
        settings.topic_outgoing_mail_undeliverable,
        settings.topic_dead_letter,
        settings.topic_evaluation,
        settings.repeats_topic,
    )


def _prepare_database(url: str) -> None:
    """Make the tables and apply the demo's rules file, as `db upgrade` and `rules apply` do."""
    upgrade_rules(url)
    upgrade_ledger(url)
    content = (resources.files("consumer.demo") / RULES_FILE).read_bytes()
    engine = engine_for(url)
    try:
        SqlRulesStore(engine).apply(read_rules_files([RulesFile(RULES_FILE, content)]).tenants)
    finally:
        engine.dispose()


@contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """Send log lines to a file: the terminal belongs to the demo."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(JsonLines())
    root, heard = logging.getLogger(), [logging.getLogger(name) for name in _LOGGERS]
    former = [logger.level for logger in heard]
    root.addHandler(handler)
    for logger in heard:
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        for logger, level in zip(heard, former, strict=True):
            logger.setLevel(level)
        root.removeHandler(handler)
        handler.close()
