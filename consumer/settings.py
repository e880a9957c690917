"""Every knob of push-services, its default, its unit, its sentence; read once, at start.

The names are the operator's: a fault starts with the variable as it was typed, and all faults are
told at once. Parts get the values they need, never the `Settings`.
"""

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
from consumer.settings_sources import Given, Value
from consumer.settings_values import Sender
from schemas.errors import InvalidSettings, InvalidValue
from schemas.vocabulary import WireFormat

SmtpTls: TypeAlias = Literal["starttls", "implicit", "none"]
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
            raise PydanticCustomError("complaint", "{complaint}", {"complaint": str(error)}) from None

    return BeforeValidator(read)


def _word(of: Collection[str]) -> BeforeValidator:
    def parse(text: str) -> str:
        if text not in of:
            raise InvalidValue(f"{text!r} is not known; allowed are {', '.join(of)}")
        return text

    return _read_by(parse)


_Line = Annotated[str, _read_by(values.line)]
_Topic = Annotated[str, _read_by(values.topic)]
_Host = Annotated[str, _read_by(values.host)]
_Port = Annotated[int, _read_by(values.port)]
_Duration = Annotated[timedelta, _read_by(values.duration)]
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
        "payment-file-rejected", description="topic with the events of that type"
    )
    topic_payment_status_updated: _Topic = Field(
        "payment-status-updated", description="topic with the events of that type"
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
        description="where the rules and the ledger live, sqlite:/// or postgresql://",
    )
    rules_poll: _Duration = Field(
        timedelta(milliseconds=250),
        description="how often to ask for changed rules (ISO 8601)",
    )
    batch_size: Annotated[int, _read_by(values.batch_size)] = Field(
        5_000, description="most records that are settled in one transaction, 1 to 100000"
    )
    mail_from: _Line | None = Field(
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
        description="the portal that mails link to; without it they have no link",
        examples=["https://portal.example"],
    )
    smtp_host: _Host | None = Field(
        None, description="mail server that deliver hands mails to", examples=["smtp.push.example"]
    )
    smtp_port: _Port = Field(587, description="the mail server's port, 1 to 65535")
    smtp_username: _Secret | None = Field(
        None, description="user name at the mail server, with smtp_password"
    )
    smtp_password: _Secret | None = Field(
        None, description="password at the mail server, with smtp_username"
    )
    smtp_tls: Annotated[SmtpTls, _word(get_args(SmtpTls))] = Field(
        "starttls", description="encryption to the mail server: starttls, implicit or none"
    )
    delivery_pause: _Duration = Field(
        timedelta(minutes=1),
        description="how long a mail waits after the mail server deferred it (ISO 8601)",
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
    def writes(self) -> WireFormat:
        """Return how records are written."""
        if self.wire_format is not None:
            return self.wire_format
        return WireFormat.CONFLUENT if self.schema_registry_url else WireFormat.SINGLE_OBJECT
