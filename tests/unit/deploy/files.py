"""Reads the files of deploy/ into plain values, each form in one place."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
MANIFESTS = sorted((DEPLOY / "kustomize").glob("*/*.yaml"))
KUSTOMIZATIONS = [path for path in MANIFESTS if path.name == "kustomization.yaml"]
RESOURCES = [path for path in MANIFESTS if path.name != "kustomization.yaml"]


def read_yaml(path: Path) -> Any:
    """Return the one document of a YAML file."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def compose() -> dict[str, Any]:
    """Return compose.yaml with its anchors merged."""
    return dict(read_yaml(DEPLOY / "compose.yaml"))


def pod_spec(resource: dict[str, Any]) -> dict[str, Any]:
    """Return the pod that a Deployment or a Job starts."""
    return dict(resource["spec"]["template"]["spec"])


def containers(resource: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a pod's containers, those that only run before it included."""
    pod = pod_spec(resource)
    return [*pod.get("initContainers", []), *pod["containers"]]


def days(duration: str) -> timedelta:
    """Read an ISO 8601 duration of whole days: P14D."""
    found = re.fullmatch(r"P(\d+)D", duration)
    assert found, f"not whole days: {duration}"
    return timedelta(days=int(found[1]))


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction of a Dockerfile, its continued lines joined."""

    word: str
    rest: str


def dockerfile_stages() -> list[list[Instruction]]:
    """Return the instructions of each stage, every list beginning with its FROM."""
    stages: list[list[Instruction]] = []
    for instruction in _instructions((DEPLOY / "Dockerfile").read_text(encoding="utf-8")):
        if instruction.word == "FROM":
            stages.append([])
        if stages:
            stages[-1].append(instruction)
    return stages


def _instructions(text: str) -> Iterator[Instruction]:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        word, _, rest = line.partition(" ")
        yield Instruction(word.upper(), " ".join(rest.split()))
