"""Every knob of push-services, its default, its unit, its sentence; read once, at start.

The names are the operator's: a fault starts with the variable as it was typed, and all faults are
told at once. Parts get the values they need, never the `Settings`.
"""

import re
import socket
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Annotated, Literal, NamedTuple, TypeAlias, get_args

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from consumer import settings_sources as sources
from consumer import settings_values as values
from consumer.kafka_settings import OWNED
from consumer.rules_in_force import WhenTooOld
from consumer.settings_sources import Given, Value
from consumer.settings_values import Sender
from mailer.breaker import BREAKER_TERMS
from mailer.desk import TROUBLE_PAUSES
from mailer.policy import POLICY_TERMS
from mailer.ports import TERMS
from mailer.results import PAUSES
from mailer.smtp import KEEPING
from mailer.smtp_client import TIMEOUTS, Timeouts
from rules_store.recipients import Verification
from schemas.errors import InvalidSettings, InvalidValue
from schemas.vocabulary import WireFormat

SmtpTls: TypeAlias = Literal["starttls", "implicit", "none"]
WhenInDoubt: TypeAlias = Literal["resend", "hold"]
LogLevel: TypeAlias = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
CheckKafka: TypeAlias = Callable[[Mapping[str, str]], Sequence[str]]  # properties → faults

#: What a command cannot do without, as fields of `Settings`.
REQUIRED_BY_RUN = ("kafka_bootstrap_servers", "mail_from")
REQUIRED_BY_DELIVER = ("kafka_bootstrap_servers", "smtp_host")

MASK = "********"


def _read_by(parse: Callable[[str], object]) -> BeforeValidator:
    """Let pydantic read a field with one of our functions and keep its complaint as it is."""

    def read(text: object) -> object:
        if not isinstance(text, str):
            return text
        try:
            return parse(text)
        except InvalidValue as error:
            raise PydanticCustomError(
                "complaint", "{complaint}", {"complaint": str(error)}
            ) from None

    return BeforeValidator(read)


def _word(of: Collection[str]) -> BeforeValidator:
    def parse(text: str) -> str:
        if text not in of:
            raise InvalidValue(f"{text!r} is not known; allowed are {', '.join(of)}")
        return text

    return _read_by(parse)


_Line = Annotated[str, _read_by(values.line)]
_Topic = Annotated[str, _read_by(values.topic)]
_Relays = Annotated[str, _read_by(values.relays)]
_AtOnce = Annotated[int, _read_by(values.at_once)]
_Rate = Annotated[float, _read_by(values.rate)]
_Port = Annotated[int, _read_by(values.port)]
_Count = Annotated[int, _read_by(values.count)]
_Duration = Annotated[timedelta, _read_by(values.duration)]
_Durations = Annotated[tuple[timedelta, ...], _read_by(values.durations)]
_Secret = Annotated[SecretStr, _read_by(values.secret)]


class Settings(BaseSettings):
    """Everything an operator may turn, from PUSH_… variables; made by `load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix=sources.PREFIX, extra="forbid", frozen=True, hide_input_in_errors=True
    )

    kafka_bootstrap_servers: Annotated[str, _read_by(values.brokers)] | None = Field(
        None,
        description="Kafka brokers to ask first, HOST:PORT with commas between",
        examples=["localhost:9092"],
    )
    kafka: Annotated[Mapping[str, str], AfterValidator(MappingProxyType)] = Field(
        MappingProxyType({}), repr=False
    )
    group_id: _Line = Field(
        "push-services",
        description="Kafka consumer group of run; deliver appends -deliver",
    )
    transactional_id: _Line = Field(
        default_factory=lambda: f"push-services-{socket.gethostname()}",
        description="the whole transactional id of run, its own for each process and the same "
        "after a restart; deliver appends -deliver",
        examples=["push-services-<hostname>"],
    )
    topic_payment_file_rejected: _Topic = Field(
        "payment-file-rejected", description="topic with the events of files that were refused"
    )
    topic_payment_status_updated: _Topic = Field(
        "payment-status-updated", description="topic with the events of files' new statuses"
    )
    topic_outgoing_mail: _Topic = Field(
        "outgoing-mail", description="topic that run writes mails to and deliver reads"
    )
    topic_outgoing_mail_undeliverable: _Topic = Field(
        "outgoing-mail-undeliverable", description="topic for mails that nobody can be given"
    )
    topic_dead_letter: _Topic = Field(
        "dead-letter", description="topic for records that no retry helps"
    )
    topic_evaluation: _Topic = Field(
        "evaluation", description="topic that says what became of each range of offsets"
    )
    topic_repeats: _Topic | None = Field(
        None,
        description="topic of the event ids settled lately, never shared by groups; run creates it",
        examples=["<group id>-repeats"],
    )
    repeats_window: _Duration = Field(
        timedelta(days=7),
        description="how long an event id published again is known, counted from when it was "
        "settled (ISO 8601)",
    )
    repeats_limit: Annotated[int, _read_by(values.repeats_limit)] = Field(
        500_000,
        description="most event ids that one worker remembers, 1 to 50000000; beyond it the oldest "
        "leave before the window ends",
    )
    wire_format: Annotated[WireFormat, _word(list(WireFormat))] | None = Field(
        None,
        description="how records are written, confluent or single-object; both are read always",
        examples=["confluent with a Schema Registry, else single-object"],
    )
    schema_registry_url: Annotated[SecretStr, _read_by(values.registry_url)] | None = Field(
        None,
        description="Schema Registry, http:// or https://, user info allowed",
        examples=["http://localhost:8081"],
    )
    schema_registry_register: Annotated[bool, _read_by(values.yes_or_no)] = Field(
        default=True,
        description="register our schemas at start (true), or only look them up (false)",
    )
    database_url: Annotated[SecretStr, _read_by(values.database_url)] = Field(
        SecretStr("sqlite:///push-services.db"),
        description="where the rules live, and the ledger unless it has a URL of its own, "
        "sqlite:/// or postgresql://",
    )
    ledger_url: Annotated[SecretStr, _read_by(values.database_url)] | None = Field(
        None,
        description="where the ledger of deliver lives, sqlite:/// (one process of deliver) or "
        "postgresql:// (any number)",
        examples=["as PUSH_DATABASE_URL"],
    )
    rules_poll: _Duration = Field(
        timedelta(milliseconds=250),
        description="how often to ask for changed rules (ISO 8601)",
    )
    rules_notify: Annotated[bool, _read_by(values.yes_or_no)] = Field(
        default=True,
        description="let PostgreSQL's notices wake that question sooner; false behind PgBouncer in "
        "transaction mode, which passes none on",
    )
    rules_reread: _Duration = Field(
        timedelta(hours=1),
        description="how long a round takes that reads every tenant's rules again, a few at a "
        "time, and heals what no trigger told (ISO 8601)",
    )
    max_rules_age: _Duration = Field(
        timedelta(minutes=5),
        description="time since rules were last known to be current that is too long (ISO 8601)",
    )
    rules_too_old: Annotated[WhenTooOld, _word(list(WhenTooOld))] = Field(
        WhenTooOld.WARN,
        description="what run does with rules that are too old: warn and go on deciding by them, "
        "or pause until the database answers",
    )
    external_verification: Annotated[Verification, _word(list(Verification))] = Field(
        Verification.OFF,
        description="whether external addresses get mails before they are verified: off for yes, "
        "required for no",
    )
    batch_size: Annotated[int, _read_by(values.batch_size)] = Field(
        5_000, description="most records that are settled in one transaction, 1 to 100000"
    )
    breaker: Annotated[bool, _read_by(values.yes_or_no)] = Field(
        default=True,
        description="stop run where so much fails that the fault may be ours (true), or make dead "
        "letters of however much it is (false)",
    )
    breaker_in_a_row: _Count = Field(
        100, description="records in a row whose fault may be ours that stop run, 0 for never"
    )
    breaker_after_start: _Count = Field(
        10,
        description="the same until after a start one record has ended otherwise, 0 for no "
        "difference",
    )
    breaker_percent: Annotated[int, _read_by(values.percent)] = Field(
        50, description="percentage of the records tried lately that may fail at most, 1 to 100"
    )
    breaker_at_least: _Count = Field(
        1_000, description="how many records must have been tried for that, 0 for never"
    )
    breaker_within: _Duration = Field(
        timedelta(minutes=1), description="how long ago is lately (ISO 8601)"
    )
    breaker_unreadable: _Count = Field(
        1_000,
        description="records in a row that are no payment events, with none that is one on any "
        "partition, that stop run, 0 for never",
    )
    batch_wait: Annotated[timedelta, _read_by(values.duration_or_none)] = Field(
        timedelta(0),
        description="how long a batch waits for more records after its first, PT0S to PT5S; more "
        "saves transactions and costs latency (ISO 8601)",
    )
    step_limit: _Duration = Field(
        timedelta(seconds=60),
        description="how long one step of run may take until the process ends itself, exit code 70 "
        "(ISO 8601)",
    )
    mail_from: Annotated[str, _read_by(values.sender_line)] | None = Field(
        None,
        description="who mails are from, an address or Name <address>",
        examples=["Payments <payments@push.example>"],
    )
    mail_expires: _Duration = Field(
        timedelta(days=1),
        description="how long after its making a mail is still worth delivering (ISO 8601)",
    )
    platform_name: _Line = Field("konfipay", description="what mails call the payment platform")
    portal_url: Annotated[str, _read_by(values.portal_url)] | None = Field(
        None,
        description="the portal whose page URL/FILE_ID mails link to; without it they have no link",
        examples=["https://portal.example"],
    )
    portal_rules_url: Annotated[str, _read_by(values.portal_url)] | None = Field(
        None,
        description="the portal's page of rules, which mails to users link to",
        examples=["https://portal.example/push-services"],
    )
    mail_reply_to: Annotated[str, _read_by(values.mailbox)] | None = Field(
        None,
        description="mailbox of the support that reads replies; without it mails ask for none",
        examples=["support@push.example"],
    )
    mail_company: _Line | None = Field(
        None,
        description="the sender's company data, one line at the end of each mail",
        examples=["Example GmbH, Musterstr. 1, 12345 Berlin, HRB 1234, CEO A. Muster"],
    )
    templates_dir: Annotated[str, _read_by(values.folder)] | None = Field(
        None,
        description="folder with templates and wording.de.toml, wording.en.toml that replace those "
        "of the package, each by its name; of the wording only the entries given",
        examples=["/etc/push-services/templates"],
    )
    token_key: Annotated[SecretStr, _read_by(values.token_key)] | None = Field(
        None,
        description="key of the names that stand for addresses in links, envelopes and lists, at "
        "least 16 characters, the same for run and deliver and never changed",
    )
    unsubscribe_url: Annotated[str, _read_by(values.unsubscribe_url)] | None = Field(
        None,
        description="page URL/TOKEN where external readers end their mails of a rule (RFC 8058), "
        "https://; without it and token_key they are offered no such link",
        examples=["https://portal.example/u"],
    )
    unsubscribe_mailto: Annotated[str, _read_by(values.mailbox)] | None = Field(
        None,
        description="mailbox where they can do so by mail, as LOCAL+TOKEN@DOMAIN",
        examples=["unsubscribe@mail.push.example"],
    )
    smtp_host: _Relays | None = Field(
        None,
        description="mail server that deliver hands mails to, HOST or HOST:PORT, several in order "
        "of preference with commas between; the next one is asked where one is away",
        examples=["smtp.push.example"],
    )
    smtp_port: _Port = Field(587, description="port of the mail servers that name none, 1 to 65535")
    smtp_username: _Secret | None = Field(
        None, description="user name at the mail server, with smtp_password"
    )
    smtp_password: _Secret | None = Field(
        None, description="password at the mail server, with smtp_username"
    )
    smtp_tls: Annotated[SmtpTls, _word(get_args(SmtpTls))] = Field(
        "starttls", description="encryption to the mail server: starttls, implicit or none"
    )
    smtp_concurrency: _AtOnce = Field(
        16, description="connections of a process to each mail server, 1 to 10000"
    )
    smtp_rate: _Rate | None = Field(
        None,
        description="most mails a second from a process to each mail server; without it as fast as "
        "it takes them",
        examples=["50"],
    )
    smtp_connect_timeout: _Duration = Field(
        TIMEOUTS.connect,
        description="how long connecting to a mail server may take (ISO 8601)",
    )
    smtp_greeting_timeout: _Duration = Field(
        TIMEOUTS.greeting,
        description="how long its greeting may take (ISO 8601)",
    )
    smtp_set_up_timeout: _Duration = Field(
        TIMEOUTS.set_up,
        description="how long each answer to EHLO, STARTTLS, AUTH and RSET may take (ISO 8601)",
    )
    smtp_mail_timeout: _Duration = Field(
        TIMEOUTS.mail,
        description="how long its answer to MAIL may take (ISO 8601)",
    )
    smtp_rcpt_timeout: _Duration = Field(
        TIMEOUTS.rcpt,
        description="how long its answer to RCPT may take (ISO 8601)",
    )
    smtp_data_timeout: _Duration = Field(
        TIMEOUTS.data,
        description="how long its answer to DATA may take (ISO 8601)",
    )
    smtp_block_timeout: _Duration = Field(
        TIMEOUTS.block,
        description="how long it may take to accept a block of content (ISO 8601)",
    )
    smtp_content_timeout: _Duration = Field(
        TIMEOUTS.content,
        description="how long it may take until the last block of content begins (ISO 8601)",
    )
    smtp_final_dot_timeout: _Duration = Field(
        TIMEOUTS.final_dot,
        description="how long its answer to the whole content may take; a shorter wait makes "
        "duplicates (ISO 8601)",
    )
    smtp_quit_timeout: _Duration = Field(
        TIMEOUTS.quit,
        description="how long its answer to QUIT is waited for (ISO 8601)",
    )
    smtp_connection_age: _Duration = Field(
        KEEPING.longest,
        description="how long a connection to a mail server is kept at most (ISO 8601)",
    )
    smtp_connection_idle: _Duration = Field(
        KEEPING.longest_idle,
        description="how long a connection is kept that nobody uses (ISO 8601)",
    )
    smtp_connection_mails: _AtOnce = Field(
        KEEPING.most_mails, description="most mails over one connection, 1 to 10000"
    )
    retry_pauses: _Durations = Field(
        PAUSES,
        description="waits before the second and each later attempt of a mail that was refused for "
        "now, each a fifth shorter or longer; the last one repeats until the mail expires",
    )
    relay_pause: _Duration = Field(
        timedelta(seconds=BREAKER_TERMS.first_pause),
        description="how long a mail server is left alone that is away or busy; twice as long each "
        "time (ISO 8601)",
    )
    relay_longest_pause: _Duration = Field(
        timedelta(seconds=BREAKER_TERMS.longest_pause),
        description="longest such pause (ISO 8601)",
    )
    policy_pause: _Duration = Field(
        timedelta(seconds=POLICY_TERMS.first_pause),
        description="how long delivery pauses where the mail server refuses everything; twice as "
        "long each time (ISO 8601)",
    )
    policy_longest_pause: _Duration = Field(
        timedelta(seconds=POLICY_TERMS.longest_pause),
        description="longest such pause (ISO 8601)",
    )
    ledger_pauses: _Durations = Field(
        TROUBLE_PAUSES,
        description="waits of deliver while the ledger gives no answer, one after the other; the "
        "last one repeats",
    )
    domain_concurrency: _AtOnce = Field(
        20, description="most mails of a process under way to one recipient domain, 1 to 10000"
    )
    domain_rate: _Rate = Field(
        10.0, description="most mails a second from a process to one recipient domain"
    )
    claim_lease: _Duration = Field(
        TERMS.lease,
        description="how long a mail in hand stays with its process after that died (ISO 8601); "
        "longer than a mail server may take for its content",
    )
    in_doubt: Annotated[WhenInDoubt, _word(get_args(WhenInDoubt))] = Field(
        "resend",
        description="what becomes of a mail whose content was sent and not answered: resend (the "
        "same bytes again) or hold (until an operator decides)",
    )
    mail_waits: _Duration = Field(
        timedelta(days=5),
        description="how long a mail waits that the mail server never said anything about "
        "(ISO 8601)",
    )
    refusal_trial: _Duration = Field(
        TERMS.trial,
        description="how long after the last refusal for good those in a row may still turn out to "
        "be the mail server's fault, while no other mail gets through (ISO 8601)",
    )
    bounce_domain: Annotated[str, _read_by(values.domain)] | None = Field(
        None,
        description="domain of the envelope senders bounce+TOKEN@DOMAIN that bounces come back to, "
        "with token_key; without it bounces go to mail_from",
        examples=["bounce.push.example"],
    )
    http_port: Annotated[int, _read_by(values.own_port)] = Field(
        8080, description="port of /metrics, /livez and /readyz, 0 for none"
    )
    log_level: Annotated[LogLevel, _word(get_args(LogLevel))] = Field(
        "INFO", description="least important lines to log: DEBUG, INFO, WARNING or ERROR"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take only what `load_settings` hands over: the environment is an argument."""
        return (init_settings,)

    @property
    def sender(self) -> Sender | None:
        """Return who mails are from."""
        return None if self.mail_from is None else values.sender(self.mail_from)

    @property
    def repeats_topic(self) -> str:
        """Return the topic of the event ids settled lately."""
        return self.topic_repeats or repeats_topic_of(self.group_id)

    @property
    def relays(self) -> tuple[values.Relay, ...]:
        """Return the mail servers in order of preference."""
        return values.relay_list(self.smtp_host or "", self.smtp_port)

    @property
    def ledger(self) -> SecretStr:
        """Return the URL of the ledger's database."""
        return self.ledger_url or self.database_url

    @property
    def writes(self) -> WireFormat:
        """Return how records are written."""
        if self.wire_format is not None:
            return self.wire_format
        return WireFormat.CONFLUENT if self.schema_registry_url else WireFormat.SINGLE_OBJECT


def repeats_topic_of(group_id: str) -> str:
    """Return the default name of a group's repeats topic."""
    return f"{group_id}-repeats"


class Winning(NamedTuple):
    """A setting, its value in force as it may be shown ("" for none), and where it came from."""

    name: str
    shown: str
    source: str  # `environment NAME`, `file PATH` or `default`


def variable_of(field: str) -> str:
    """Return the variable that sets a field of `Settings`."""
    return f"{sources.PREFIX}{field.upper()}"


def _is_secret(annotation: object) -> bool:
    return annotation is SecretStr or any(_is_secret(part) for part in get_args(annotation))


#: The fields that have a variable of their own, in the order in which they are told.
FIELDS = tuple(field for field in Settings.model_fields if field != "kafka")
#: Every variable that is no librdkafka property and no secret's PUSH_…_FILE.
SETTING_NAMES = frozenset(map(variable_of, FIELDS))
#: The variables that may come from a file and are never shown.
SECRET_NAMES = frozenset(
    variable_of(field) for field in FIELDS if _is_secret(Settings.model_fields[field].annotation)
)
_TOPICS = tuple(field for field in FIELDS if field.startswith("topic_"))


def is_setting(name: str) -> bool:
    """Say whether a variable may be set: a setting, a secret's file or a librdkafka property."""
    owned = sources.is_kafka(name) and sources.kafka_property(name) in OWNED
    return sources.is_known(name, SETTING_NAMES, SECRET_NAMES) and not owned


def load_settings(
    environ: Mapping[str, str],
    *,
    required: Collection[str] = (),
    check_kafka: CheckKafka | None = None,
) -> Settings:
    """Read the settings, or raise `InvalidSettings` with every fault, by the name typed.

    `required` are fields of `Settings`. `check_kafka` is asked about librdkafka properties if any
    is set; it answers with a sentence for each fault that it finds.
    """
    given = sources.read(environ, SETTING_NAMES, SECRET_NAMES)
    allowed = {name: v for name, v in given.kafka.items() if is_setting(name)}
    faults = [
        *given.faults,
        *_owned(given.kafka),
        *_contradictions(given),
        *(missing(field) for field in required if variable_of(field) not in given.attempted),
        *(_kafka_faults(allowed, check_kafka) if check_kafka is not None else ()),
    ]
    fields: dict[str, object] = {
        name.removeprefix(sources.PREFIX).lower(): value.text
        for name, value in given.settings.items()
    }
    fields["kafka"] = _properties(allowed)
    try:
        settings = Settings.model_validate(fields)
    except ValidationError as error:
        raise InvalidSettings(sorted([*faults, *_complaints(error)])) from None
    faults += _too_short_a_lease(settings)
    if faults:
        raise InvalidSettings(sorted(faults))
    return settings


def _too_short_a_lease(settings: Settings) -> list[str]:
    after_start = timeouts_of(settings).after_start
    if settings.claim_lease > after_start:
        return []
    least = values.iso_duration(after_start)
    return [
        f"{variable_of('claim_lease')}: must be longer than {least}, what a mail may still take"
    ]


def timeouts_of(settings: Settings) -> Timeouts:
    """Return how long to wait for a mail server."""
    return Timeouts(
        connect=settings.smtp_connect_timeout,
        greeting=settings.smtp_greeting_timeout,
        set_up=settings.smtp_set_up_timeout,
        mail=settings.smtp_mail_timeout,
        rcpt=settings.smtp_rcpt_timeout,
        data=settings.smtp_data_timeout,
        block=settings.smtp_block_timeout,
        content=settings.smtp_content_timeout,
        final_dot=settings.smtp_final_dot_timeout,
        quit=settings.smtp_quit_timeout,
    )


def missing(field: str) -> str:
    """Return the fault of a required field that is not set."""
    example = Settings.model_fields[field].examples
    hint = f", for example {variable_of(field)}={example[0]}" if example else ""
    return f"{variable_of(field)}: must be set{hint}"


def _complaints(error: ValidationError) -> list[str]:
    return [
        f"{variable_of(str(complaint['loc'][0]))}: {complaint['msg']}"
        for complaint in error.errors(include_url=False, include_input=False)
    ]


def _owned(kafka: Mapping[str, Value]) -> list[str]:
    properties = {name: sources.kafka_property(name) for name in kafka}
    return [
        f"{name}: {owned} is kept by push-services: {OWNED[owned]}"
        for name, owned in properties.items()
        if owned in OWNED
    ]


def _contradictions(given: Given) -> list[str]:
    """Return what cannot be meant together."""
    faults = [*_same_topics(given), *_nameless_repeats(given)]
    form = given.settings.get(variable_of("wire_format"))
    registry = variable_of("schema_registry_url")
    if form and form.text == WireFormat.CONFLUENT and registry not in given.attempted:
        faults.append(f"{variable_of('wire_format')}: confluent needs {registry}")
    both = (variable_of("smtp_username"), variable_of("smtp_password"))
    faults += [
        f"{one}: is set without {other}; both or neither"
        for one, other in (both, both[::-1])
        if one in given.attempted and other not in given.attempted
    ]
    return [
        *faults,
        *_needing(given, "unsubscribe_url", "token_key"),
        *_needing(given, "unsubscribe_mailto", "unsubscribe_url"),
        *_needing(given, "bounce_domain", "token_key"),
    ]


def _needing(given: Given, field: str, other: str) -> list[str]:
    one, needed = variable_of(field), variable_of(other)
    if one in given.attempted and needed not in given.attempted:
        return [f"{one}: needs {needed}"]
    return []


def _same_topics(given: Given) -> list[str]:
    faults, first = [], dict[str, str]()
    # Those that were given come last, so that a fault names what the operator typed.
    for field in sorted(_TOPICS, key=lambda field: variable_of(field) in given.settings):
        name = variable_of(field)
        value = given.settings.get(name)
        topic = value.text if value else _default_topic(field, given)
        if topic in first:
            faults.append(f"{name}: {topic!r} is also {first[topic]}; each topic needs its own")
        first.setdefault(topic, name)
    return faults


def _default_topic(field: str, given: Given) -> str:
    if field == "topic_repeats":
        return repeats_topic_of(_group_id(given))
    return str(Settings.model_fields[field].default)


def _group_id(given: Given) -> str:
    value = given.settings.get(variable_of("group_id"))
    return value.text if value else str(Settings.model_fields["group_id"].default)


def _nameless_repeats(given: Given) -> list[str]:
    """Return the fault of a group id that gives the repeats topic no name it could have."""
    named, group_id = variable_of("topic_repeats"), _group_id(given)
    if named in given.attempted:
        return []
    try:
        values.topic(repeats_topic_of(group_id))
    except InvalidValue:
        fault = f"{group_id!r} cannot begin the name of a topic; set {named} too"
        return [f"{variable_of('group_id')}: {fault}"]
    return []


def _properties(kafka: Mapping[str, Value]) -> dict[str, str]:
    return {sources.kafka_property(name): value.text for name, value in kafka.items()}


def _kafka_faults(kafka: Mapping[str, Value], check: CheckKafka) -> list[str]:
    """Return each fault with the variables at fault; librdkafka itself stops at the first."""
    left, faults = dict(kafka), list[str]()
    while left and (found := check(_properties(left))):
        culprits = _culprits(left, found[0], check)
        faults.append(f"{', '.join(culprits)}: {_unquoted(found[0], left)}{_meant(culprits)}")
        left = {name: value for name, value in left.items() if name not in culprits}
    return faults


def _culprits(kafka: Mapping[str, Value], fault: str, check: CheckKafka) -> list[str]:
    """Return the variables that a fault names, else those without which it is not found."""
    named = [name for name in kafka if _names(fault, sources.kafka_property(name))]
    if named:
        return named
    needed = [
        name
        for name in kafka
        if fault not in check(_properties({n: v for n, v in kafka.items() if n != name}))
    ]
    return needed or list(kafka)


def _names(fault: str, kafka_property: str) -> bool:
    return fault.startswith(f"{kafka_property}:") or f'"{kafka_property}"' in fault


def _meant(variables: Sequence[str]) -> str:
    close = sources.close_to(variables[0], SETTING_NAMES, cutoff=0.9)
    return f"; did you mean {close}?" if len(variables) == 1 and close else ""


def _unquoted(fault: str, kafka: Mapping[str, Value]) -> str:
    for name, value in kafka.items():
        if sources.is_kafka_secret(name):
            fault = re.sub(rf"(?<!\w){re.escape(value.text)}(?!\w)", MASK, fault)
    return " ".join(fault.split())


def winning_sources(environ: Mapping[str, str]) -> list[Winning]:
    """Return every setting as it is in force, secrets masked, or raise `InvalidSettings`."""
    settings = load_settings(environ)
    given = sources.read(environ, SETTING_NAMES, SECRET_NAMES)
    fixed = [
        Winning(name, shown(settings, field), _source(given.settings.get(name)))
        for field, name in ((field, variable_of(field)) for field in FIELDS)
    ]
    properties = [
        Winning(name, MASK if sources.is_kafka_secret(name) else value.text, value.source)
        for name, value in sorted(given.kafka.items())
    ]
    return [*fixed, *properties]


def _source(value: Value | None) -> str:
    return value.source if value else "default"


#: Settings whose value in force depends on others where they are not given.
_DERIVED: Mapping[str, Callable[[Settings], str]] = {
    "topic_repeats": lambda settings: settings.repeats_topic,
    "wire_format": lambda settings: str(settings.writes),
}


def shown(settings: Settings, field: str) -> str:
    """Return a field's value in force as a person may see it, spelt as it would be typed."""
    if field in _DERIVED:
        return _DERIVED[field](settings)
    value: object = getattr(settings, field)
    if isinstance(value, SecretStr):
        url = field.endswith("_url")
        return values.without_password(value.get_secret_value()) if url else MASK
    return spelt(value)


def spelt(value: object) -> str:
    """Return a value as an operator would type it; "" for none."""
    if isinstance(value, timedelta):
        return values.iso_duration(value)
    if isinstance(value, tuple):
        return ",".join(map(spelt, value))
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def revealed(secret: SecretStr | None) -> str | None:
    """Return a secret as text, for the part that needs it and for no other use."""
    return None if secret is None else secret.get_secret_value()
