"""The Kubernetes manifests: valid by Kubernetes' own schemas, and right where schemas do not look.

kubernetes-validate's command only warns about a kind it does not know and still exits 0, so its
library is asked instead: there an unknown kind is an error. What it passes and only a server would
refuse is checked here: a selector that misses its labels, a probe of a port that is not there.
"""

import re
import tomllib
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]  # ships no types
import pytest

from consumer.settings import is_setting
from tests.unit.deploy.files import (
    DEPLOY,
    KUSTOMIZATIONS,
    RESOURCES,
    ROOT,
    containers,
    pod_spec,
    read_yaml,
)

OLDEST, NEWEST = "1.31", "1.37"  # unhealthyPodEvictionPolicy is stable since 1.31
QUANTITY = re.compile(r"[1-9]\d*(\.\d+)?(m|Ki|Mi|Gi)?")
BASE = DEPLOY / "kustomize/base"
BY_KIND: dict[str, list[dict[str, Any]]] = {}
for _path in RESOURCES:
    _resource = read_yaml(_path)
    BY_KIND.setdefault(_resource["kind"], []).append(_resource)

DEPLOYMENTS = BY_KIND["Deployment"]
WITH_PODS = [*DEPLOYMENTS, *BY_KIND["Job"]]
(CONFIG_MAP,) = BY_KIND["ConfigMap"]
(SECRET,) = BY_KIND["Secret"]


def named(value: Any) -> str | None:
    """Show a resource by its name, a container likewise, in the ids of tests."""
    if isinstance(value, dict):
        return str(value.get("name") or value["metadata"]["name"])
    return value.name if isinstance(value, Path) else None


deployments = pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=named)
pods = pytest.mark.parametrize("resource", WITH_PODS, ids=named)
all_containers = pytest.mark.parametrize(
    "container", [c for resource in WITH_PODS for c in containers(resource)], ids=named
)


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("path", RESOURCES, ids=named)
def test_a_manifest_is_valid_and_of_a_known_kind(path: Path, version: str) -> None:
    assert kubernetes_validate.validate(read_yaml(path), version, strict=True) == version


def test_a_kind_that_nobody_knows_is_refused() -> None:
    unknown = {"apiVersion": "apps/v1", "kind": "Deploymnet", "metadata": {"name": "x"}}

    with pytest.raises(kubernetes_validate.SchemaNotFoundError):
        kubernetes_validate.validate(unknown, NEWEST, strict=True)


@pytest.mark.parametrize("path", KUSTOMIZATIONS, ids=lambda path: path.parent.name)
def test_a_kustomization_names_every_manifest_beside_it_but_the_example(path: Path) -> None:
    beside = {other.name for other in path.parent.iterdir()} - {path.name}

    assert set(read_yaml(path)["resources"]) == beside - {"secret.example.yaml"}


@pytest.mark.parametrize("path", KUSTOMIZATIONS, ids=lambda path: path.parent.name)
def test_a_kustomization_has_the_version_of_the_project(path: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert read_yaml(path)["images"] == [{"name": project["name"], "newTag": project["version"]}]


def test_no_manifest_names_a_namespace() -> None:
    assert [p.name for p in RESOURCES if "namespace" in read_yaml(p)["metadata"]] == []


def test_kinds_and_names_are_unique() -> None:
    names = [(r["kind"], r["metadata"]["name"]) for group in BY_KIND.values() for r in group]

    assert len(names) == len(set(names))


def test_both_daemons_are_deployed() -> None:
    started = {tuple(pod_spec(d)["containers"][0]["args"]) for d in DEPLOYMENTS}

    assert started == {("run",), ("deliver",)}


@deployments
def test_a_selector_meets_the_labels_of_its_pods_and_of_no_others(
    deployment: dict[str, Any],
) -> None:
    selector = deployment["spec"]["selector"]["matchLabels"]
    labels = [d["spec"]["template"]["metadata"]["labels"] for d in WITH_PODS]

    met = [found for found in labels if selector.items() <= found.items()]

    assert met == [deployment["spec"]["template"]["metadata"]["labels"]]


@deployments
def test_pods_are_spread_by_their_own_labels(deployment: dict[str, Any]) -> None:
    constraints = pod_spec(deployment)["topologySpreadConstraints"]
    selector = deployment["spec"]["selector"]

    assert [c["labelSelector"] for c in constraints] == [selector, selector]
    assert [c["topologyKey"] for c in constraints] == [
        "topology.kubernetes.io/zone",
        "kubernetes.io/hostname",
    ]


def test_each_deployment_has_one_disruption_budget_that_never_blocks_a_drain() -> None:
    budgets = [budget["spec"] for budget in BY_KIND["PodDisruptionBudget"]]
    expected = [
        {
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": deployment["spec"]["selector"],
        }
        for deployment in DEPLOYMENTS
    ]

    assert sorted(budgets, key=str) == sorted(expected, key=str)


@deployments
def test_a_rollout_never_lowers_the_number_of_ready_pods(deployment: dict[str, Any]) -> None:
    spec = deployment["spec"]

    assert spec["replicas"] >= 2
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert spec["minReadySeconds"] >= 15


@deployments
def test_probes_ask_a_port_that_is_there(deployment: dict[str, Any]) -> None:
    (container,) = pod_spec(deployment)["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    probes = {kind: container[f"{kind}Probe"] for kind in ("startup", "liveness", "readiness")}

    assert ports == {"http": 8080}
    assert {kind: probe["httpGet"] for kind, probe in probes.items()} == {
        "startup": {"path": "/livez", "port": "http"},
        "liveness": {"path": "/livez", "port": "http"},
        "readiness": {"path": "/readyz", "port": "http"},
    }


@deployments
def test_the_scrape_annotation_names_the_port_of_the_probes(deployment: dict[str, Any]) -> None:
    annotations = deployment["spec"]["template"]["metadata"]["annotations"]
    (port,) = pod_spec(deployment)["containers"][0]["ports"]

    assert annotations["prometheus.io/port"] == str(port["containerPort"])


@deployments
def test_a_pod_has_time_to_settle_what_it_holds(deployment: dict[str, Any]) -> None:
    assert pod_spec(deployment)["terminationGracePeriodSeconds"] == 60


@deployments
def test_a_pod_starts_only_behind_a_schema_that_is_new_enough(deployment: dict[str, Any]) -> None:
    (init,) = pod_spec(deployment)["initContainers"]

    assert init["args"] == ["db", "check"]
    assert init["image"] == pod_spec(deployment)["containers"][0]["image"]


@deployments
def test_a_pod_is_known_to_kafka_by_its_own_name(deployment: dict[str, Any]) -> None:
    (container,) = pod_spec(deployment)["containers"]
    given = {variable["name"]: variable for variable in container["env"]}

    assert given["PUSH_TRANSACTIONAL_ID"]["valueFrom"] == {
        "fieldRef": {"fieldPath": "metadata.name"}
    }


@pods
def test_a_pod_is_restricted(resource: dict[str, Any]) -> None:
    pod = pod_spec(resource)

    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "fsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


@all_containers
def test_a_container_is_restricted(container: dict[str, Any]) -> None:
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@all_containers
def test_resources_are_asked_for_and_limited_in_quantities_that_parse(
    container: dict[str, Any],
) -> None:
    resources = container["resources"]
    quantities = [*resources["requests"].values(), *resources["limits"].values()]

    assert {"cpu", "memory"} <= set(resources["requests"]) & set(resources["limits"])
    assert [q for q in quantities if not QUANTITY.fullmatch(q)] == []


@pods
def test_room_for_temporary_files_has_an_end_that_parses(resource: dict[str, Any]) -> None:
    volumes = {volume["name"]: volume for volume in pod_spec(resource)["volumes"]}

    assert QUANTITY.fullmatch(volumes["tmp"]["emptyDir"]["sizeLimit"])


@all_containers
def test_an_image_is_pinned_by_its_tag(container: dict[str, Any]) -> None:
    _, _, tag = container["image"].partition(":")

    assert re.fullmatch(r"\d+\.\d+\.\d+", tag)


@all_containers
def test_a_variable_of_a_container_is_a_known_setting(container: dict[str, Any]) -> None:
    assert [v["name"] for v in container["env"] if not is_setting(v["name"])] == []


def test_a_key_of_the_config_map_is_a_known_setting_and_its_value_text() -> None:
    assert [key for key in CONFIG_MAP["data"] if not is_setting(key)] == []
    assert [v for v in CONFIG_MAP["data"].values() if not isinstance(v, str)] == []


@deployments
def test_a_daemon_takes_its_settings_from_the_config_map(deployment: dict[str, Any]) -> None:
    (container,) = pod_spec(deployment)["containers"]

    assert container["envFrom"] == [{"configMapRef": {"name": CONFIG_MAP["metadata"]["name"]}}]


@deployments
def test_no_setting_is_given_twice(deployment: dict[str, Any]) -> None:
    (container,) = pod_spec(deployment)["containers"]
    given = [variable["name"].removesuffix("_FILE") for variable in container["env"]]

    assert sorted({*given, *CONFIG_MAP["data"]}) == sorted([*given, *CONFIG_MAP["data"]])


@pods
def test_a_pod_mounts_keys_that_the_example_of_the_secret_has(resource: dict[str, Any]) -> None:
    volumes = {volume["name"]: volume for volume in pod_spec(resource)["volumes"]}
    secret = volumes["secrets"]["secret"]

    assert secret["secretName"] == SECRET["metadata"]["name"]
    assert {entry["key"] for entry in secret["items"]} <= set(SECRET["stringData"])


@pods
def test_a_variable_that_names_a_file_names_one_that_is_mounted(resource: dict[str, Any]) -> None:
    volumes = {volume["name"]: volume for volume in pod_spec(resource)["volumes"]}
    (folder,) = {
        mount["mountPath"]
        for container in containers(resource)
        for mount in container["volumeMounts"]
        if mount["name"] == "secrets"
    }
    mounted = {f"{folder}/{entry['path']}" for entry in volumes["secrets"]["secret"]["items"]}
    wanted = {
        variable["value"]
        for container in containers(resource)
        for variable in container["env"]
        if variable["name"].endswith("_FILE")
    }

    assert wanted == mounted


def test_every_volume_that_is_mounted_exists() -> None:
    missing = [
        mount["name"]
        for resource in WITH_PODS
        for container in containers(resource)
        for mount in container["volumeMounts"]
        if mount["name"] not in {volume["name"] for volume in pod_spec(resource)["volumes"]}
    ]

    assert missing == []


def test_the_example_of_the_secret_holds_nothing_but_placeholders_in_capitals() -> None:
    values = [value.removeprefix("postgresql://") for value in SECRET["stringData"].values()]

    assert [value for value in values if not value.isupper()] == []
