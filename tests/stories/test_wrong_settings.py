"""An operator gets settings wrong, and is told everything at once, in words to act upon."""

import json
import os
import re
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from consumer.cli_config import config_app
from consumer.commands import fatal_errors, settings_or_exit
from consumer.settings import REQUIRED_BY_RUN, SETTING_NAMES
from schemas.errors import AccessDenied, Fatal, InvalidInput, SchemaOutdated


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PUSH_")]:
        monkeypatch.delenv(name)


def config(*arguments: str, **environ: str) -> Result:
    return CliRunner().invoke(config_app, arguments, env=environ)


def test_all_faults_are_told_one_a_line_and_the_exit_code_says_settings() -> None:
    result = config(
        "show",
        PUSH_DATABASE_URI="sqlite:///x.db",
        PUSH_DATABASE_URL="sqlite:////no/such/folder/push.db",
        PUSH_SCHEMA_REGISTRY_URL="registry:8081",
        PUSH_SMTP_PORT="70000",
    )

    assert result.exit_code == 78
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "push-services: PUSH_DATABASE_URI: no such setting; did you mean PUSH_DATABASE_URL?",
        "push-services: PUSH_DATABASE_URL: the folder '/no/such/folder' does not exist",
        "push-services: PUSH_SCHEMA_REGISTRY_URL: is no URL; allowed are http:// and https://",
        "push-services: PUSH_SMTP_PORT: '70000' is no port; allowed are 1 to 65535",
    ]


def test_the_real_kafka_client_is_asked_about_its_properties() -> None:
    result = config(
        "show",
        PUSH_KAFKA_BOOTSTRAP_SERVER="localhost:9092",
        PUSH_KAFKA_SECURITY_PROTOCOL="tls",
    )

    assert result.exit_code == 78
    told = [line.split(": ")[1] for line in result.stderr.splitlines() if "PUSH_" in line]
    assert told == ["PUSH_KAFKA_BOOTSTRAP_SERVER", "PUSH_KAFKA_SECURITY_PROTOCOL"]
    assert "did you mean PUSH_KAFKA_BOOTSTRAP_SERVERS?" in result.stderr


def test_properties_that_need_each_other_are_taken_together() -> None:
    result = config(
        "show",
        PUSH_KAFKA_SECURITY_PROTOCOL="sasl_ssl",
        PUSH_KAFKA_SASL_MECHANISM="PLAIN",
        PUSH_KAFKA_SASL_USERNAME="push",
        PUSH_KAFKA_SASL_PASSWORD="geheim",
    )

    assert (result.exit_code, result.stderr) == (0, "")


def test_right_settings_are_shown_with_their_sources_and_without_secrets(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://push:geheim@db/push\n")

    result = config(
        "show",
        PUSH_DATABASE_URL_FILE=str(tmp_path / "url"),
        PUSH_SMTP_USERNAME="geheim",
        PUSH_SMTP_PASSWORD="geheim",
        PUSH_GROUP_ID="payments",
    )

    assert result.exit_code == 0
    assert "geheim" not in result.output
    rows = {line.split()[0]: re.split(r"  +", line)[1:] for line in result.stdout.splitlines()}
    assert rows["PUSH_GROUP_ID"] == ["payments", "environment PUSH_GROUP_ID"]
    assert rows["PUSH_SMTP_HOST"] == ["(not set)", "default"]
    assert rows["PUSH_DATABASE_URL"] == [
        "postgresql://push:********@db/push",
        f"file {tmp_path / 'url'}",
    ]


def test_settings_are_shown_to_programs_as_json() -> None:
    result = config("show", "--json", PUSH_HTTP_PORT="0")

    settings = {setting.pop("name"): setting for setting in json.loads(result.stdout)}
    assert set(settings) == SETTING_NAMES
    assert settings["PUSH_HTTP_PORT"] == {"value": "0", "source": "environment PUSH_HTTP_PORT"}
    assert settings["PUSH_MAIL_FROM"] == {"value": None, "source": "default"}


def test_an_example_of_all_settings_can_be_had() -> None:
    result = config("example")

    assert result.exit_code == 0
    assert "#PUSH_SMTP_PORT=587\n" in result.stdout


def test_a_command_that_needs_more_says_what(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ending:
        settings_or_exit(REQUIRED_BY_RUN)

    assert ending.value.exit_code == 78
    assert capsys.readouterr().err.splitlines() == [
        (
            "push-services: PUSH_KAFKA_BOOTSTRAP_SERVERS: must be set, for example "
            "PUSH_KAFKA_BOOTSTRAP_SERVERS=localhost:9092"
        ),
        (
            "push-services: PUSH_MAIL_FROM: must be set, for example "
            "PUSH_MAIL_FROM=Payments <payments@push.example>"
        ),
    ]


@pytest.mark.parametrize(
    ("error", "code", "lines"),
    [
        pytest.param(
            InvalidInput(["a.yaml:1: version: missing", "a.yaml:2: tenants: empty"]),
            1,
            ["a.yaml:1: version: missing", "a.yaml:2: tenants: empty"],
            id="faults in a file",
        ),
        pytest.param(
            SchemaOutdated("run push-services db upgrade"),
            78,
            ["push-services: run push-services db upgrade"],
            id="older tables",
        ),
        pytest.param(
            AccessDenied("Kafka: TOPIC_AUTHORIZATION_FAILED"),
            70,
            ["push-services: Kafka: TOPIC_AUTHORIZATION_FAILED"],
            id="refused",
        ),
    ],
)
def test_every_fatal_error_ends_with_its_lines_and_its_code(
    error: Fatal, code: int, lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ending, fatal_errors():
        raise error

    assert ending.value.exit_code == code
    assert capsys.readouterr().err.splitlines() == lines
