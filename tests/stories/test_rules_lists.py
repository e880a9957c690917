"""An admin looks at the rules: all of them, some of them, one of them."""

import json
from pathlib import Path

import pytest
import yaml

from tests.stories.command import Push


def listed(push: Push, *options: str) -> list[tuple[str, str]]:
    rules = json.loads(push("rules", "list", "--json", *options).stdout)
    return [(rule["tenant"], rule["rule"]) for rule in rules]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        pytest.param(
            ("--tenant", "m-1"), [("m-1", "r-accounts"), ("m-1", "r-rejected")], id="tenant"
        ),
        pytest.param(("--event", "payment-status-updated"), [("m-1", "r-accounts")], id="event"),
        pytest.param(("--status", "FIN_REJECTED"), [("m-1", "r-accounts")], id="status"),
        pytest.param(
            ("--status", "KON_REJECTED"),
            [("m-1", "r-rejected"), ("m-2", "r-rejected")],
            id="the status that is an event",
        ),
        pytest.param(
            ("--account", "acc-2"),
            [("m-1", "r-rejected"), ("m-2", "r-rejected")],
            id="an account that no rule chose",
        ),
        pytest.param(("--to", "u-ben"), [("m-1", "r-rejected")], id="user"),
        pytest.param(("--to", "steuer@Kanzlei.example"), [("m-1", "r-rejected")], id="address"),
        pytest.param(("--disabled",), [], id="disabled"),
        pytest.param(("--enabled", "--tenant", "m-2"), [("m-2", "r-rejected")], id="enabled"),
    ],
)
def test_a_list_has_the_rules_that_are_asked_for(
    push_sqlite: Push, file: Path, options: tuple[str, ...], found: list[tuple[str, str]]
) -> None:
    push_sqlite("rules", "apply", str(file))

    assert listed(push_sqlite, *options) == found


def test_enabled_and_disabled_at_once_is_wrong_usage(push_sqlite: Push) -> None:
    assert push_sqlite("rules", "list", "--enabled", "--disabled").exit_code == 2


@pytest.mark.parametrize("command", ["list", "export"])
def test_a_tenant_that_is_not_there_is_a_fault(push_sqlite: Push, command: str) -> None:
    told = push_sqlite("rules", command, "--tenant", "m-9")

    assert (told.exit_code, told.stdout) == (1, "")
    assert told.stderr == "push-services: there is no tenant 'm-9'\n"


def test_a_tenant_is_shown_with_all_it_has(push_sqlite: Push, file: Path) -> None:
    push_sqlite("rules", "apply", str(file))

    shown = yaml.safe_load(push_sqlite("rules", "show", "m-1").stdout)

    assert shown["name"] == "Muster"
    assert [user["id"] for user in shown["users"]] == ["u-anna", "u-ben"]
    assert [rule["id"] for rule in shown["rules"]] == ["r-accounts", "r-rejected"]


def test_one_tenant_can_be_exported_and_json_is_a_rules_file_too(
    push_sqlite: Push, file: Path
) -> None:
    push_sqlite("rules", "apply", str(file))

    exported = push_sqlite("rules", "export", "--tenant", "m-2", "--json").stdout

    assert [tenant["id"] for tenant in json.loads(exported)["tenants"]] == ["m-2"]
    again = push_sqlite("rules", "apply", "-", input=exported)
    assert again.stdout == "0 created, 0 changed, 0 deleted\n"
