"""Settings: every name, every kind of fault, where each value came from, and no secret shown."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.settings import (
    MASK,
    REQUIRED_BY_DELIVER,
    REQUIRED_BY_RUN,
    Settings,
    is_setting,
    load_settings,
    winning_sources,
)
from consumer.settings_values import duration, iso_duration, sender, without_password
from schemas.addresses import EmailAddress
from schemas.errors import InvalidSettings, InvalidValue
from schemas.vocabulary import WireFormat

KEY = {"PUSH_TOKEN_KEY": "a key of sixteen"}
UNSUBSCRIBE = KEY | {"PUSH_UNSUBSCRIBE_URL": "https://portal.example/u"}


def faults_of(environ: Mapping[str, str], **options: object) -> Sequence[str]:
    with pytest.raises(InvalidSettings) as caught:
        load_settings(environ, **options)  # type: ignore[arg-type]  # options are the caller's
    return caught.value.faults


def test_without_any_variable_the_defaults_hold() -> None:
    settings = load_settings({"HOME": "/nowhere"})

    assert settings.database_url.get_secret_value() == "sqlite:///push-services.db"
    assert settings.group_id == "push-services"
    assert settings.transactional_id.startswith("push-services-")
    assert (settings.smtp_port, settings.smtp_tls, settings.http_port) == (587, "starttls", 8080)
    assert settings.rules_poll == timedelta(milliseconds=250)
    assert settings.mail_expires == timedelta(days=1)
    assert settings.kafka == {}


@pytest.mark.parametrize(
    ("typed", "relays"),
    [
        ("a.example", [("a.example", 2525)]),
        ("a.example:25,b.example", [("a.example", 25), ("b.example", 2525)]),
        ("[::1]:25, 10.0.0.1", [("::1", 25), ("10.0.0.1", 2525)]),
        ("::1", [("::1", 2525)]),
    ],
)
def test_mail_servers_are_read_in_their_order(typed: str, relays: list[tuple[str, int]]) -> None:
    settings = load_settings({"PUSH_SMTP_HOST": typed, "PUSH_SMTP_PORT": "2525"})

    assert list(settings.relays) == relays


def test_the_ledger_lives_with_the_rules_unless_it_is_told_otherwise() -> None:
    together = load_settings({"PUSH_DATABASE_URL": "postgresql://db.example/push"})
    apart = load_settings({"PUSH_LEDGER_URL": "postgresql://db.example/ledger"})

    assert together.ledger.get_secret_value() == "postgresql://db.example/push"
    assert apart.ledger.get_secret_value() == "postgresql://db.example/ledger"


def test_what_is_set_wins() -> None:
    settings = load_settings(
        {
            "PUSH_KAFKA_BOOTSTRAP_SERVERS": "a.example:9092,[::1]:9093",
            "PUSH_TOPIC_OUTGOING_MAIL": "mails.v1",
            "PUSH_SCHEMA_REGISTRY_REGISTER": "false",
            "PUSH_RULES_POLL": "PT2S",
            "PUSH_HTTP_PORT": "0",
        }
    )

    assert settings.kafka_bootstrap_servers == "a.example:9092,[::1]:9093"
    assert settings.topic_outgoing_mail == "mails.v1"
    assert settings.schema_registry_register is False
    assert settings.rules_poll == timedelta(seconds=2)
    assert settings.http_port == 0


@pytest.mark.parametrize(
    ("environ", "fault"),
    [
        pytest.param(
            {"PUSH_DATABASE_URI": "x"},
            "PUSH_DATABASE_URI: no such setting; did you mean PUSH_DATABASE_URL?",
            id="misspelt",
        ),
        pytest.param(
            {"PUSH_XYZZY": "x"}, "PUSH_XYZZY: no such setting", id="like no name that there is"
        ),
        pytest.param(
            {"PUSH_SMTP_HOST_FILE": "/x"},
            "PUSH_SMTP_HOST_FILE: no such setting; only secrets come from files, "
            "set PUSH_SMTP_HOST",
            id="file for what is no secret",
        ),
        pytest.param(
            {"PUSH_SERVICES_SERVICE_HOST": "10.0.0.1"},
            "PUSH_SERVICES_SERVICE_HOST: no such setting; Kubernetes sets it for a Service called "
            "push-services: set enableServiceLinks: false in the pod",
            id="service link of Kubernetes",
        ),
        pytest.param(
            {"PUSH_GROUP_ID": ""},
            "PUSH_GROUP_ID: is empty; unset it to get the default",
            id="empty",
        ),
        pytest.param(
            {"PUSH_SMTP_PORT": "70000"},
            "PUSH_SMTP_PORT: '70000' is no port; allowed are 1 to 65535",
            id="port out of range",
        ),
        pytest.param(
            {"PUSH_HTTP_PORT": "eighty"},
            "PUSH_HTTP_PORT: 'eighty' is no port; allowed are 0 to 65535",
            id="port in words",
        ),
        pytest.param(
            {"PUSH_SMTP_PORT": "٥٨٧"},
            "PUSH_SMTP_PORT: '٥٨٧' is no port; allowed are 1 to 65535",
            id="port in Arabic digits",
        ),
        pytest.param(
            {"PUSH_DATABASE_URL": "mysql://u:geheim@h/d"},
            "PUSH_DATABASE_URL: 'mysql://' is not the URL of a database; "
            "allowed are sqlite://, postgresql:// and postgres://",
            id="database of another kind",
        ),
        pytest.param(
            {"PUSH_DATABASE_URL": "rules.db"},
            "PUSH_DATABASE_URL: is no URL; allowed are sqlite://, postgresql:// and postgres://",
            id="database without a scheme",
        ),
        pytest.param(
            {"PUSH_DATABASE_URL": "postgresql://u:ge#heim@h:x/d"},
            "PUSH_DATABASE_URL: is no URL: its host or port cannot be read (signs like / # ? @ "
            "in a password must be percent-encoded)",
            id="password that is not percent-encoded",
        ),
        pytest.param(
            {"PUSH_DATABASE_URL": "sqlite:////no/such/folder/push.db"},
            "PUSH_DATABASE_URL: the folder '/no/such/folder' does not exist",
            id="folder that does not exist",
        ),
        pytest.param(
            {"PUSH_DATABASE_URL": "sqlite://"},
            "PUSH_DATABASE_URL: names no file; allowed is sqlite:///FILE or sqlite:////FOLDER/FILE",
            id="database in memory",
        ),
        pytest.param(
            {"PUSH_SCHEMA_REGISTRY_URL": "registry:8081"},
            "PUSH_SCHEMA_REGISTRY_URL: is no URL; allowed are http:// and https://",
            id="registry without a scheme",
        ),
        pytest.param(
            {"PUSH_SCHEMA_REGISTRY_URL": "http://:8081"},
            "PUSH_SCHEMA_REGISTRY_URL: names no host; allowed is http://HOST[:PORT][/PATH]",
            id="registry without a host",
        ),
        pytest.param(
            {"PUSH_PORTAL_URL": "https://anna:geheim@portal.example"},
            "PUSH_PORTAL_URL: may have no user info, query or fragment; it is printed in mails",
            id="portal with a password",
        ),
        pytest.param(
            {"PUSH_TOKEN_KEY": "geheim"},
            "PUSH_TOKEN_KEY: is too short; at least 16 characters are needed",
            id="key that could be guessed",
        ),
        pytest.param(
            {"PUSH_UNSUBSCRIBE_URL": "https://portal.example/u"},
            "PUSH_UNSUBSCRIBE_URL: needs PUSH_TOKEN_KEY",
            id="unsubscribing without a key",
        ),
        pytest.param(
            KEY | {"PUSH_UNSUBSCRIBE_MAILTO": "unsub@push.example"},
            "PUSH_UNSUBSCRIBE_MAILTO: needs PUSH_UNSUBSCRIBE_URL",
            id="unsubscribing by mail alone",
        ),
        pytest.param(
            KEY | {"PUSH_UNSUBSCRIBE_URL": "http://portal.example/u"},
            "PUSH_UNSUBSCRIBE_URL: must begin with https://, as RFC 8058 asks for",
            id="unsubscribing without TLS",
        ),
        pytest.param(
            KEY | {"PUSH_UNSUBSCRIBE_URL": "https://portal.example/ü"},
            "PUSH_UNSUBSCRIBE_URL: must be ASCII, of at most 200 characters",
            id="unsubscribing at a page that no header can hold",
        ),
        pytest.param(
            UNSUBSCRIBE | {"PUSH_UNSUBSCRIBE_MAILTO": "Unsub <unsub@push.example>"},
            "PUSH_UNSUBSCRIBE_MAILTO: allowed is an address alone, without a name",
            id="mailbox with a name",
        ),
        pytest.param(
            UNSUBSCRIBE | {"PUSH_UNSUBSCRIBE_MAILTO": f"{'u' * 32}@push.example"},
            "PUSH_UNSUBSCRIBE_MAILTO: allowed before the @ are 1 to 31 of A-Z a-z 0-9 . _ -",
            id="mailbox without room for a token",
        ),
        pytest.param(
            {"PUSH_KAFKA_BOOTSTRAP_SERVERS": "a:9092,:1"},
            "PUSH_KAFKA_BOOTSTRAP_SERVERS: ':1' is no broker; allowed is HOST:PORT[,HOST:PORT…]",
            id="broker without a host",
        ),
        pytest.param(
            {"PUSH_KAFKA_BOOTSTRAP_SERVERS": "a:0"},
            "PUSH_KAFKA_BOOTSTRAP_SERVERS: '0' is no port; allowed are 1 to 65535",
            id="broker with a bad port",
        ),
        pytest.param(
            {"PUSH_SMTP_HOST": "a.example,smtp://b"},
            "PUSH_SMTP_HOST: '//b' is no port; allowed are 1 to 65535",
            id="a URL where a host belongs",
        ),
        pytest.param(
            {"PUSH_SMTP_HOST": "a.example,"},
            "PUSH_SMTP_HOST: '' is no host; allowed is a name or an IP address",
            id="a host that is missing",
        ),
        pytest.param(
            {"PUSH_CLAIM_LEASE": "PT18M"},
            "PUSH_CLAIM_LEASE: must be longer than PT18M, what a mail may still take",
            id="a lease that ends before a mail server must have answered",
        ),
        pytest.param(
            {"PUSH_DOMAIN_RATE": "0"},
            "PUSH_DOMAIN_RATE: '0' is no rate; allowed are 0.01 to 100000 a second",
            id="a rate of nothing",
        ),
        pytest.param(
            {"PUSH_BOUNCE_DOMAIN": "bounce.example"},
            "PUSH_BOUNCE_DOMAIN: needs PUSH_TOKEN_KEY",
            id="bounces without a key",
        ),
        pytest.param(
            {"PUSH_RULES_POLL": "250ms"},
            "PUSH_RULES_POLL: '250ms' is no duration; allowed is ISO 8601, as in PT0.25S, PT5M "
            "or P1D",
            id="duration in other words",
        ),
        pytest.param(
            {"PUSH_RULES_POLL": "PT0S"},
            "PUSH_RULES_POLL: 'PT0S' is out of range; allowed are PT0.01S to P366D",
            id="no duration at all",
        ),
        pytest.param(
            {"PUSH_SMTP_TLS": "tls"},
            "PUSH_SMTP_TLS: 'tls' is not known; allowed are starttls, implicit, none",
            id="word of another list",
        ),
        pytest.param(
            {"PUSH_SCHEMA_REGISTRY_REGISTER": "yes"},
            "PUSH_SCHEMA_REGISTRY_REGISTER: 'yes' is neither; allowed are true and false",
            id="neither true nor false",
        ),
        pytest.param(
            {"PUSH_TOPIC_DEAD_LETTER": "dead letters"},
            "PUSH_TOPIC_DEAD_LETTER: 'dead letters' is no name of a topic; "
            "allowed are 1 to 249 of A-Z a-z 0-9 . _ -",
            id="topic with a space",
        ),
        pytest.param(
            {"PUSH_TOPIC_DEAD_LETTER": "evaluation"},
            "PUSH_TOPIC_DEAD_LETTER: 'evaluation' is also PUSH_TOPIC_EVALUATION; "
            "each topic needs its own",
            id="topic of another purpose",
        ),
        pytest.param(
            {"PUSH_GROUP_ID": "my group"},
            "PUSH_GROUP_ID: 'my group' cannot begin the name of a topic; "
            "set PUSH_TOPIC_REPEATS too",
            id="group that gives its repeats topic no name",
        ),
        pytest.param(
            {"PUSH_GROUP_ID": "mine", "PUSH_TOPIC_EVALUATION": "mine-repeats"},
            "PUSH_TOPIC_EVALUATION: 'mine-repeats' is also PUSH_TOPIC_REPEATS; "
            "each topic needs its own",
            id="topic that is the group's repeats",
        ),
        pytest.param(
            {"PUSH_BATCH_WAIT": "PT6S"},
            "PUSH_BATCH_WAIT: 'PT6S' is out of range; allowed are PT0S to PT5S",
            id="a batch that waits too long",
        ),
        pytest.param(
            {"PUSH_WIRE_FORMAT": "confluent"},
            "PUSH_WIRE_FORMAT: confluent needs PUSH_SCHEMA_REGISTRY_URL",
            id="Confluent framing without a registry",
        ),
        pytest.param(
            {"PUSH_SMTP_USERNAME": "push"},
            "PUSH_SMTP_USERNAME: is set without PUSH_SMTP_PASSWORD; both or neither",
            id="user name without a password",
        ),
        pytest.param(
            {"PUSH_KAFKA_GROUP_ID": "mine"},
            "PUSH_KAFKA_GROUP_ID: group.id is kept by push-services: set PUSH_GROUP_ID",
            id="property that the loop owns",
        ),
        pytest.param(
            {"PUSH_BATCH_SIZE": "0"},
            "PUSH_BATCH_SIZE: '0' is no number of records; allowed are 1 to 100000",
            id="batch of nothing",
        ),
        pytest.param(
            {"PUSH_SMTP_PASSWORD_FILE": "/no/such/file", "PUSH_SMTP_USERNAME": "push"},
            "PUSH_SMTP_PASSWORD_FILE: the file '/no/such/file' does not exist",
            id="secret in a file that is not there",
        ),
    ],
)
def test_a_fault_is_one_sentence_that_starts_with_the_variable(
    environ: dict[str, str], fault: str
) -> None:
    assert faults_of(environ) == (fault,)


def test_all_faults_are_told_at_once() -> None:
    faults = faults_of(
        {
            "PUSH_DATABASE_URI": "x",
            "PUSH_DATABASE_URL": "sqlite:////no/such/folder/push.db",
            "PUSH_SCHEMA_REGISTRY_URL": "ftp://registry",
            "PUSH_SMTP_PORT": "none",
        },
        required=REQUIRED_BY_RUN,
    )

    assert [fault.partition(":")[0] for fault in faults] == [
        "PUSH_DATABASE_URI",
        "PUSH_DATABASE_URL",
        "PUSH_KAFKA_BOOTSTRAP_SERVERS",
        "PUSH_MAIL_FROM",
        "PUSH_SCHEMA_REGISTRY_URL",
        "PUSH_SMTP_PORT",
    ]


def test_what_a_command_needs_must_be_set() -> None:
    faults = faults_of({}, required=REQUIRED_BY_DELIVER)

    assert faults == (
        (
            "PUSH_KAFKA_BOOTSTRAP_SERVERS: must be set, for example "
            "PUSH_KAFKA_BOOTSTRAP_SERVERS=localhost:9092"
        ),
        "PUSH_SMTP_HOST: must be set, for example PUSH_SMTP_HOST=smtp.push.example",
    )


def test_what_is_needed_and_empty_is_one_fault() -> None:
    faults = faults_of({"PUSH_SMTP_HOST": ""}, required=["smtp_host"])

    assert faults == ("PUSH_SMTP_HOST: is empty; unset it to get the default",)


def test_a_secret_comes_from_a_file_without_its_line_end(tmp_path: Path) -> None:
    (tmp_path / "password").write_text(" geheim \n")

    settings = load_settings(
        {"PUSH_SMTP_USERNAME": "push", "PUSH_SMTP_PASSWORD_FILE": str(tmp_path / "password")}
    )

    assert settings.smtp_password is not None
    assert settings.smtp_password.get_secret_value() == " geheim "


def test_a_secret_given_twice_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("geheim")

    faults = faults_of(
        {
            "PUSH_SMTP_USERNAME": "push",
            "PUSH_SMTP_PASSWORD": "geheim",
            "PUSH_SMTP_PASSWORD_FILE": str(tmp_path / "password"),
        }
    )

    assert faults == (
        "PUSH_SMTP_PASSWORD_FILE: PUSH_SMTP_PASSWORD is set too; only one of them may be",
    )


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(b"\n", "is empty", id="empty"),
        pytest.param(b"\xff\xfe", "cannot be read (UnicodeDecodeError)", id="not text"),
    ],
)
def test_a_file_without_a_secret_is_a_fault(tmp_path: Path, content: bytes, why: str) -> None:
    file = tmp_path / "url"
    file.write_bytes(content)

    assert faults_of({"PUSH_DATABASE_URL_FILE": str(file)}) == (
        f"PUSH_DATABASE_URL_FILE: the file '{file}' {why}",
    )


def test_a_folder_instead_of_a_secret_is_a_fault(tmp_path: Path) -> None:
    assert faults_of({"PUSH_DATABASE_URL_FILE": str(tmp_path)}) == (
        f"PUSH_DATABASE_URL_FILE: the file '{tmp_path}' cannot be read (IsADirectoryError)",
    )


def test_librdkafka_properties_are_spelt_with_dots_but_for_a_few(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("geheim\n")

    settings = load_settings(
        {
            "PUSH_KAFKA_SECURITY_PROTOCOL": "sasl_ssl",
            "PUSH_KAFKA_LOG_LEVEL": "7",
            "PUSH_KAFKA_SASL_PASSWORD_FILE": str(tmp_path / "password"),
        }
    )

    assert settings.kafka == {
        "security.protocol": "sasl_ssl",
        "log_level": "7",
        "sasl.password": "geheim",
    }


def a_strict_client(properties: Mapping[str, str]) -> Sequence[str]:
    """Complain as librdkafka does: of the first fault only."""
    if "no.such" in properties:
        return ['No such configuration property: "no.such"']
    if "bootstrap.server" in properties:
        return ['No such configuration property: "bootstrap.server"']
    if properties.get("linger.ms") == "abc":  # the fault names the property's other name
        return ['Invalid value for configuration property "queue.buffering.max.ms"']
    if properties.get("sasl.mechanism") == "PLAIN" and "sasl.password" not in properties:
        return ["sasl.username and\nsasl.password must be set"]
    return []


def test_every_fault_of_the_kafka_client_is_told_with_its_variable() -> None:
    faults = faults_of(
        {
            "PUSH_KAFKA_BOOTSTRAP_SERVER": "a:1",
            "PUSH_KAFKA_CLIENT_ID": "fine",
            "PUSH_KAFKA_LINGER_MS": "abc",
            "PUSH_KAFKA_NO_SUCH": "1",
            "PUSH_KAFKA_SASL_MECHANISM": "PLAIN",
        },
        check_kafka=a_strict_client,
    )

    assert faults == (
        (
            'PUSH_KAFKA_BOOTSTRAP_SERVER: No such configuration property: "bootstrap.server"'
            "; did you mean PUSH_KAFKA_BOOTSTRAP_SERVERS?"
        ),
        'PUSH_KAFKA_LINGER_MS: Invalid value for configuration property "queue.buffering.max.ms"',
        'PUSH_KAFKA_NO_SUCH: No such configuration property: "no.such"',
        "PUSH_KAFKA_SASL_MECHANISM: sasl.username and sasl.password must be set",
    )


def test_the_kafka_client_is_not_asked_about_nothing() -> None:
    def refuse(_: Mapping[str, str]) -> Sequence[str]:
        return ["asked"]

    settings = load_settings({"PUSH_KAFKA_BOOTSTRAP_SERVERS": "a:1"}, check_kafka=refuse)

    assert settings.kafka == {}


def test_a_fault_of_the_kafka_client_never_quotes_a_secret() -> None:
    faults = faults_of(
        {"PUSH_KAFKA_SSL_KEY_PEM": "-----KEY geheim"},
        check_kafka=lambda p: [f'"ssl.key.pem": cannot read {value}' for value in p.values()],
    )

    assert faults == (f'PUSH_KAFKA_SSL_KEY_PEM: "ssl.key.pem": cannot read {MASK}',)


@pytest.mark.parametrize(
    ("text", "name", "address"),
    [
        pytest.param("pay@push.example", None, "pay@push.example", id="address"),
        pytest.param("<pay@push.example>", None, "pay@push.example", id="in brackets"),
        pytest.param("Pay <pay@Push.Example>", "Pay", "pay@push.example", id="with a name"),
        pytest.param(
            '"Zahlungen, konfipay" <pay@push.example>',
            "Zahlungen, konfipay",
            "pay@push.example",
            id="with a quoted name",
        ),
    ],
)
def test_a_sender_is_an_address_with_or_without_a_name(
    text: str, name: str | None, address: str
) -> None:
    settings = load_settings({"PUSH_MAIL_FROM": text})

    assert settings.sender == (name, EmailAddress(address))


@pytest.mark.parametrize(
    "text",
    [
        "Pay\r\nBcc: eve@evil.example <pay@push.example>",
        "pay@push.example\nBcc: eve@evil.example",
        "Pay <pay@push.example>, Eve <eve@evil.example>",
        "Pay\u202e <pay@push.example>",
        "pay@push.example, eve@evil.example",
        "Pay <pay@bücher.example>",
        "Pay",
        "@",
        "Pay <>",
    ],
    ids=repr,
)
def test_no_second_header_or_address_slips_into_the_sender(text: str) -> None:
    (fault,) = faults_of({"PUSH_MAIL_FROM": text})

    assert fault.startswith("PUSH_MAIL_FROM: ")
    assert "@" not in fault


# Catches a parser that lets any text through to a header, or raises what nobody expects.
@given(st.text())
def test_any_text_is_a_sender_of_one_line_or_a_complaint(text: str) -> None:
    try:
        name, _ = sender(text)
    except InvalidValue:
        return
    assert (name or "x").isprintable()


# Catches a unit mixed up between reading a duration and showing it.
@given(st.timedeltas(timedelta(milliseconds=10), timedelta(days=366)))
def test_a_duration_is_read_as_it_is_shown(length: timedelta) -> None:
    assert duration(iso_duration(length)) == length


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("PT0.25S", 0.25), ("PT5M", 300), ("P1D", 86400), ("P1W", 604800), ("P1DT1H1M1S", 90061)],
)
def test_a_duration_is_iso_8601(text: str, seconds: float) -> None:
    assert duration(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["5", "5s", "P", "PT", "P1M", "P1Y", "PT-5S", "pt5s", "PT5S ", ""])
def test_nothing_else_is_a_duration(text: str) -> None:
    with pytest.raises(InvalidValue):
        duration(text)


@pytest.mark.parametrize(
    ("environ", "writes"),
    [
        pytest.param({}, WireFormat.SINGLE_OBJECT, id="without a registry"),
        pytest.param(
            {"PUSH_SCHEMA_REGISTRY_URL": "http://r:8081"}, WireFormat.CONFLUENT, id="with one"
        ),
        pytest.param(
            {"PUSH_SCHEMA_REGISTRY_URL": "http://r:8081", "PUSH_WIRE_FORMAT": "single-object"},
            WireFormat.SINGLE_OBJECT,
            id="with one and as asked",
        ),
    ],
)
def test_a_registry_decides_how_records_are_written(
    environ: dict[str, str], writes: WireFormat
) -> None:
    assert load_settings(environ).writes is writes


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("PUSH_SMTP_HOST", True),
        ("PUSH_DATABASE_URL_FILE", True),
        ("PUSH_SMTP_USERNAME_FILE", True),
        ("PUSH_SMTP_PASSWORD_FILE", True),
        ("PUSH_KAFKA_SASL_PASSWORD_FILE", True),
        ("PUSH_KAFKA_SSL_KEY_PASSWORD_FILE", True),
        ("PUSH_KAFKA_LINGER_MS", True),
        ("PUSH_KAFKA_ENABLE_AUTO_COMMIT", False),
        ("PUSH_KAFKA_TRANSACTIONAL_ID", False),
        ("PUSH_SMTP_HOST_FILE", False),
        ("PUSH_KAFKA", False),
        ("PUSH_KAFKA_", False),
        ("PUSH_SMPT_HOST", False),
        ("KAFKA_BOOTSTRAP_SERVERS", False),
    ],
)
def test_a_variable_is_a_setting_or_not(name: str, known: bool) -> None:
    assert is_setting(name) is known


def test_the_winning_sources_name_variable_file_and_default(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://push:geheim@db/push\n")

    winning = winning_sources(
        {
            "PUSH_SMTP_PORT": "25",
            "PUSH_DATABASE_URL_FILE": str(tmp_path / "url"),
            "PUSH_KAFKA_SASL_PASSWORD": "geheim",
            "PUSH_KAFKA_CLIENT_ID": "mine",
        }
    )

    shown = {name: (value, source) for name, value, source in winning}
    assert shown["PUSH_SMTP_PORT"] == ("25", "environment PUSH_SMTP_PORT")
    assert shown["PUSH_RULES_POLL"] == ("PT0.25S", "default")
    assert shown["PUSH_WIRE_FORMAT"] == ("single-object", "default")
    assert shown["PUSH_SMTP_HOST"] == ("", "default")
    assert shown["PUSH_DATABASE_URL"] == (
        f"postgresql://push:{MASK}@db/push",
        f"file {tmp_path / 'url'}",
    )
    assert shown["PUSH_KAFKA_SASL_PASSWORD"] == (MASK, "environment PUSH_KAFKA_SASL_PASSWORD")
    assert shown["PUSH_KAFKA_CLIENT_ID"] == ("mine", "environment PUSH_KAFKA_CLIENT_ID")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:p@h/d", "postgresql://u:********@h/d"),
        ("postgresql://u@h/d", "postgresql://u@h/d"),
        ("postgresql://h/d?user=u&password=p&x=1", "postgresql://h/d?user=u&password=********&x=1"),
        ("http://:p@h", "http://:********@h"),
        ("sqlite:///push.db", "sqlite:///push.db"),
    ],
)
def test_only_the_password_of_a_url_is_masked(url: str, shown: str) -> None:
    assert without_password(url) == shown


def test_settings_never_show_a_secret() -> None:
    settings = load_settings(
        {
            "PUSH_DATABASE_URL": "postgresql://u:geheim@h/d",
            "PUSH_SCHEMA_REGISTRY_URL": "http://u:geheim@r",
            "PUSH_SMTP_USERNAME": "geheim",
            "PUSH_SMTP_PASSWORD": "geheim",
            "PUSH_KAFKA_SASL_PASSWORD": "geheim",
        }
    )

    assert "geheim" not in repr(settings) + str(settings)


# Catches a parser that raises something else than a fault, and a fault without its variable.
@given(
    st.dictionaries(
        st.sampled_from(sorted(f"PUSH_{field.upper()}" for field in Settings.model_fields)),
        st.text(max_size=30),
    )
)
def test_any_text_is_a_setting_or_a_fault_by_name(environ: dict[str, str]) -> None:
    try:
        load_settings(environ)
    except InvalidSettings as error:
        assert all(fault.partition(": ")[0] in environ for fault in error.faults)  # noqa: PT017
