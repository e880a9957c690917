"""What compose.yaml and the manifests put into the environment is what their commands accept."""

from pathlib import Path
from typing import Any

import pytest

from consumer.settings import REQUIRED_BY_DELIVER, REQUIRED_BY_RUN, load_settings
from tests.unit.deploy.files import DEPLOY, compose, containers, read_yaml

BASE = DEPLOY / "kustomize/base"
REQUIRED = {"run": REQUIRED_BY_RUN, "deliver": REQUIRED_BY_DELIVER, "db": ()}
SERVICES = [s for s in compose()["services"].values() if "build" in s]
CONTAINERS = [
    container
    for name in ("base/run-deployment", "base/deliver-deployment", "db-upgrade/job")
    for container in containers(read_yaml(DEPLOY / f"kustomize/{name}.yaml"))
]


def in_files(folder: Path) -> dict[str, str]:
    """Write the keys of the Secret's example as files; return each file by its mounted path."""
    keys: dict[str, str] = read_yaml(BASE / "secret.example.yaml")["stringData"]
    for key, value in keys.items():
        (folder / key).write_text(value + "\n", encoding="utf-8")
    return {f"/run/secrets/push-services/{key}": str(folder / key) for key in keys}


def environment_of(container: dict[str, Any], files: dict[str, str]) -> dict[str, str]:
    """Return what a container's process would find in its environment."""
    shared = read_yaml(BASE / "configmap.yaml")["data"] if "envFrom" in container else {}
    own = {v["name"]: files.get(v.get("value"), "pod-1") for v in container["env"]}
    return {**shared, **own}


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: " ".join(service["command"]))
def test_a_command_of_compose_accepts_its_environment(service: dict[str, Any]) -> None:
    load_settings(service["environment"], required=REQUIRED[service["command"][0]])


@pytest.mark.parametrize("container", CONTAINERS, ids=lambda container: container["name"])
def test_a_container_accepts_its_environment(container: dict[str, Any], tmp_path: Path) -> None:
    environment = environment_of(container, in_files(tmp_path))

    settings = load_settings(environment, required=REQUIRED[container["args"][0]])

    assert settings.database_url.get_secret_value().startswith("postgresql://")
