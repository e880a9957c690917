"""compose.yaml: every part is there, every variable is a setting, nothing in it is a secret."""

from pathlib import PurePosixPath
from typing import Any

import pytest

from consumer.settings import is_setting
from tests.unit.deploy.files import DEPLOY, compose, read_yaml

SERVICES: dict[str, dict[str, Any]] = compose()["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]


def environment_of(service: str) -> dict[str, Any]:
    """Return the variables that a service is started with."""
    return dict(SERVICES[service].get("environment", {}))


OUR_VARIABLES = sorted({variable for service in OURS for variable in environment_of(service)})


def test_every_part_of_the_platform_is_there() -> None:
    assert set(SERVICES) == {
        "run",
        "deliver",
        "db-upgrade",
        "topics",
        "kafka",
        "postgresql",
        "mailpit",
        "prometheus",
    }


@pytest.mark.parametrize("variable", OUR_VARIABLES)
def test_a_variable_is_a_known_setting(variable: str) -> None:
    assert variable.startswith("PUSH_")
    assert is_setting(variable)


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_values_are_text_so_that_yaml_cannot_reshape_them(service: str) -> None:
    assert [v for v in environment_of(service).values() if not isinstance(v, str)] == []


@pytest.mark.parametrize("service", sorted(set(SERVICES) - set(OURS)))
def test_a_foreign_image_is_pinned_by_its_tag(service: str) -> None:
    _, _, tag = SERVICES[service]["image"].rpartition(":")

    assert tag[:1].isdigit() or tag[:2] in {"v1", "v3"}


def test_the_broker_is_the_version_that_the_tests_use() -> None:
    assert {SERVICES[name]["image"] for name in ("kafka", "topics")} == {"apache/kafka:4.4.0"}


@pytest.mark.parametrize("daemon", ["run", "deliver"])
def test_a_daemon_starts_behind_its_tables_and_topics(daemon: str) -> None:
    assert SERVICES[daemon]["command"] == [daemon]
    assert SERVICES[daemon]["depends_on"] == {
        "db-upgrade": {"condition": "service_completed_successfully"},
        "topics": {"condition": "service_completed_successfully"},
    }


@pytest.mark.parametrize("daemon", ["run", "deliver"])
def test_a_daemon_finds_kafka_and_its_database_among_the_services(daemon: str) -> None:
    variables = environment_of(daemon)

    assert variables["PUSH_KAFKA_BOOTSTRAP_SERVERS"].partition(":")[0] in SERVICES
    assert variables["PUSH_DATABASE_URL"].partition("@")[2].partition(":")[0] in SERVICES


def test_mails_go_to_the_inbox_beside_it() -> None:
    variables = environment_of("deliver")

    assert variables["PUSH_SMTP_HOST"] in SERVICES
    assert variables["PUSH_SMTP_TLS"] == "none"


@pytest.mark.parametrize("service", OURS)
def test_our_containers_write_nowhere_and_gain_nothing(service: str) -> None:
    ours = SERVICES[service]

    assert ours["read_only"] is True
    assert ours["cap_drop"] == ["ALL"]
    assert ours["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_ports_are_open_to_this_machine_only(service: str) -> None:
    assert [p for p in SERVICES[service].get("ports", []) if not p.startswith("127.0.0.1:")] == []


def test_no_password_stands_in_the_file() -> None:
    named = {variable for service in SERVICES for variable in environment_of(service)}

    assert [variable for variable in named if "PASSWORD" in variable] == []
    assert environment_of("run")["PUSH_DATABASE_URL"] == "postgresql://push@postgresql:5432/push"


def test_the_image_is_built_from_the_top_folder() -> None:
    builds = {(SERVICES[n]["build"]["context"], SERVICES[n]["build"]["dockerfile"]) for n in OURS}

    assert builds == {("..", "deploy/Dockerfile")}


def test_prometheus_scrapes_both_daemons_where_they_listen() -> None:
    source, _, _ = SERVICES["prometheus"]["volumes"][0].partition(":")
    jobs = read_yaml(DEPLOY / PurePosixPath(source))["scrape_configs"]
    looked_up = {
        (name, str(found["port"]))
        for job in jobs
        for found in job["dns_sd_configs"]
        for name in found["names"]
    }

    assert looked_up == {(daemon, SERVICES[daemon]["expose"][0]) for daemon in ("run", "deliver")}
    assert {job["metrics_path"] for job in jobs} == {"/metrics"}


def test_every_volume_that_is_named_is_declared() -> None:
    mounted = {
        volume.partition(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
        if not volume.startswith(".")
    }

    assert mounted == set(compose()["volumes"])
