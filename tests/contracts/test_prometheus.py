"""A real Prometheus reads what both daemons show, by the configuration that deploy/ ships."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml

from consumer.metrics import DeliveryMetrics, RulesFigures, WorkerMetrics
from consumer.probes import Heartbeat, Probes, ProbeServer
from schemas.records import Place
from schemas.vocabulary import EventType
from tests.truths.test_metrics_page import documented

pytestmark = pytest.mark.prometheus

SHIPPED = Path(__file__).parents[2] / "deploy/monitoring/prometheus.yml"
PATIENCE = 30.0  # seconds until Prometheus is up, and until it has scraped
PLACE = Place("payment-status-updated", 0)


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running server, asked through its HTTP API."""

    url: str

    def series(self, query: str) -> list[dict[str, str]]:
        """Return the labels of all series that a query finds now."""
        answer = self._get(f"/api/v1/query?{urlencode({'query': query})}")
        return [found["metric"] for found in json.loads(answer)["data"]["result"]]

    def alerts(self) -> dict[str, str]:
        """Return the alerts that it has, and whether each could be evaluated."""
        groups = json.loads(self._get("/api/v1/rules?type=alert"))["data"]["groups"]
        return {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}

    def is_ready(self) -> bool:
        """Say whether the server answers questions."""
        try:
            return b"Ready" in self._get("/-/ready")
        except OSError:
            return False

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"{self.url}{path}", timeout=5) as response:
            return bytes(response.read())


def wait_until(holds: Any, what: str) -> None:
    """Ask again and again until it holds, or fail the test."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, f"not within {PATIENCE:.0f} s: {what}"
        time.sleep(0.1)


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def retargeted(ports: Mapping[str, int]) -> dict[str, Any]:
    """Return the shipped configuration, scraping this machine's ports once a second."""
    document: dict[str, Any] = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    every = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    document["global"] |= every
    document["rule_files"] = [str(SHIPPED.with_name(name)) for name in document["rule_files"]]
    for job in document["scrape_configs"]:
        ((service,),) = [found["names"] for found in job.pop("dns_sd_configs")]
        job["static_configs"] = [{"targets": [f"127.0.0.1:{ports[service]}"]}]
    return document


@contextmanager
def running(binary: Path, folder: Path, document: dict[str, Any]) -> Iterator[Prometheus]:
    """Run Prometheus on a free loopback port."""
    (folder / "prometheus.yml").write_text(yaml.safe_dump(document), encoding="utf-8")
    port = free_port()
    command = [
        *(str(binary), f"--config.file={folder / 'prometheus.yml'}"),
        *(f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}"),
    ]
    with process(command, folder / "prometheus.log"):
        server = Prometheus(f"http://127.0.0.1:{port}")
        wait_until(server.is_ready, "Prometheus is ready")
        yield server


@contextmanager
def process(
    command: list[str], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Run a process, its words in a file, until the end of the block."""
    with log.open("wb") as words:
        started = subprocess.Popen(command, env=environment, stdout=words, stderr=words)
        try:
            yield
        finally:
            started.terminate()
            assert started.wait(20) == 0, log.read_text(encoding="utf-8")


def worker_metrics() -> WorkerMetrics:
    """Return what `run` counts, with the figures that others keep."""
    return WorkerMetrics(
        version="1",
        event_types={str(event_type): event_type for event_type in EventType},
        rules=lambda: RulesFigures(7, 0.2, 0, 0),
        lag=lambda: {PLACE: 0.0},
        default_subjects=lambda: 3,
    )


def delivery_metrics() -> DeliveryMetrics:
    """Return what `deliver` counts, with the figures that others keep."""
    return DeliveryMetrics(
        version="1",
        waiting=lambda: 3,
        held=lambda: 1,
        left_alone=lambda: {"mail.example:25": False},
        lag=lambda: {PLACE: 0.0},
    )


def served(metrics: WorkerMetrics | DeliveryMetrics) -> ProbeServer:
    """Return a server of these figures on a free loopback port."""
    probes = Probes(
        heartbeats=[Heartbeat("loop", 30.0)],
        ready={},
        status=dict,
        exposition=metrics.exposition,
    )
    return ProbeServer(probes, 0, host="127.0.0.1")


@pytest.fixture(scope="module")
def scraping(prometheus: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that has scraped both daemons."""
    folder = tmp_path_factory.mktemp("prometheus")
    with served(worker_metrics()) as run, served(delivery_metrics()) as deliver:
        document = retargeted({"run": run.port, "deliver": deliver.port})
        with running(prometheus, folder, document) as server:
            wait_until(lambda: len(server.series("up == 1")) == 2, "both daemons are up")
            yield server


@pytest.mark.parametrize("daemon", ["run", "deliver"])
def test_every_metric_that_the_page_promises_is_found(scraping: Prometheus, daemon: str) -> None:
    # a misspelt name or a line that Prometheus drops would come back with no series
    names = {
        f"{name}_bucket" if kind == "histogram" else name for name, kind, _ in documented(daemon)
    }

    found = {
        labels["__name__"]
        for labels in scraping.series(f'{{job="push-services-{daemon}", __name__=~"push_.*"}}')
    }

    assert names <= found


@pytest.mark.parametrize(
    "query",
    [
        "sum by (outcome) (rate(push_records_total[1m]))",
        "histogram_quantile(0.99, sum by (le) (rate(push_match_seconds_bucket[1m])))",
        "max(push_consumer_lag_seconds) > 300 or max(push_consumer_lag_seconds) <= 300",
        'sum(push_deliveries_total{result=~"policy_refused|content_refused|relay_trouble"})',
    ],
    ids=["rate", "quantile", "lag", "refusals"],
)
def test_the_questions_of_operators_have_an_answer(scraping: Prometheus, query: str) -> None:
    wait_until(lambda: bool(scraping.series(query)), query)  # a rate needs two scrapes


def test_a_server_with_the_shipped_configuration_asks_for_every_alert(
    scraping: Prometheus,
) -> None:
    wait_until(lambda: {*scraping.alerts().values()} == {"ok"}, "every alert was asked for")

    assert "PushBehind" in scraping.alerts()


def test_promtool_accepts_the_configuration_that_is_shipped(prometheus: Path) -> None:
    checked = subprocess.run(
        [prometheus.with_name("promtool"), "check", "config", SHIPPED],
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("metrics", [worker_metrics(), delivery_metrics()], ids=["run", "deliver"])
def test_promtool_finds_nothing_to_complain_of_in_what_is_exported(
    prometheus: Path, metrics: WorkerMetrics | DeliveryMetrics
) -> None:
    checked = subprocess.run(
        [prometheus.with_name("promtool"), "check", "metrics"],
        input=metrics.exposition(),
        capture_output=True,
        check=False,
    )

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def push_services(*words: str) -> list[str]:
    """Return the command line of one of our commands."""
    return [sys.executable, "-m", "consumer.cli", *words]


def environment(folder: Path, http_port: int) -> dict[str, str]:
    """Return settings whose Kafka and mail server are away; both daemons take them."""
    return {
        "PATH": os.environ["PATH"],
        "PUSH_DATABASE_URL": f"sqlite:///{folder / 'push.db'}",
        "PUSH_KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}",
        "PUSH_MAIL_FROM": "payments@push.example",
        "PUSH_SMTP_HOST": "127.0.0.1",
        "PUSH_SMTP_PORT": str(free_port()),
        "PUSH_SMTP_TLS": "none",
        "PUSH_HTTP_PORT": str(http_port),
    }


def test_both_daemons_are_alive_and_scraped_while_kafka_is_away(
    prometheus: Path, tmp_path: Path
) -> None:
    # the manifests' startup probe asks /livez: a daemon that were silent here would be restarted
    ports = {"run": free_port(), "deliver": free_port()}
    upgrade = push_services("db", "upgrade")
    subprocess.run(upgrade, env=environment(tmp_path, 0), check=True, capture_output=True)

    with ExitStack() as stack:
        for daemon, port in ports.items():
            settings = environment(tmp_path, port)
            stack.enter_context(process(push_services(daemon), tmp_path / daemon, settings))
        server = stack.enter_context(running(prometheus, tmp_path, retargeted(ports)))
        wait_until(lambda: len(server.series("push_build_info")) == 2, "both daemons are scraped")

        assert {labels["job"] for labels in server.series("push_build_info")} == {
            "push-services-run",
            "push-services-deliver",
        }
        assert [livez(port) for port in ports.values()] == [200, 200]


def livez(port: int) -> int:
    """Return what the liveness probe of a daemon gets."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/livez", timeout=5) as response:
        return int(response.status)
