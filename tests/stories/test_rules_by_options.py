"""An admin adds and changes single rules by options."""

import json
from pathlib import Path

import pytest

from tests.stories.command import Push


@pytest.fixture
def push(push_sqlite: Push, file: Path) -> Push:
    """Return `push-services` with the two tenants in its database."""
    push_sqlite("rules", "apply", str(file))
    return push_sqlite


def shown(push: Push, tenant: str, rule: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(push("rules", "show", tenant, rule, "--json").stdout)
    return found


def test_a_rule_is_added_and_its_lines_are_shown(push: Push) -> None:
    added = push(
        *("rules", "add", "m-1", "--description", "Bestätigt", "--event", "payment-status-updated"),
        *("--status", "FIN_CONFIRMED,FIN_ACCEPTED", "--accounts", "all", "--to", "u-anna"),
        *("--external", "a@x.example;b@x.example", "--external-language", "en", "--id", "r-new"),
    )

    assert added.exit_code == 0, added.stderr
    assert added.stdout.splitlines()[:4] == [
        'created rule m-1/r-new "Bestätigt"',
        "  + id: r-new",
        "  + description: Bestätigt",
        "  + event: payment-status-updated",
    ]
    assert added.stdout.splitlines()[-1] == "1 created, 0 changed, 0 deleted"
    rule = shown(push, "m-1", "r-new")
    assert rule["statuses"] == ["FIN_ACCEPTED", "FIN_CONFIRMED"]
    assert rule["bank_accounts"] == "all"
    assert rule["external_recipients"] == [
        {"email": "a@x.example", "language": "en"},
        {"email": "b@x.example", "language": "en"},
    ]


def test_a_preset_is_enough_beside_accounts_and_a_reader(push: Push) -> None:
    push("rules", "delete", "m-1", "r-accounts")

    added = push(
        *("rules", "add", "m-1", "--preset", "not_executed"),
        *("--accounts", "acc-1", "--to", "u-anna", "--id", "r-not"),
    )

    assert added.exit_code == 0, added.stderr
    rule = shown(push, "m-1", "r-not")
    assert (rule["description"], rule["bank_accounts"]) == ("Nicht ausgeführt", ["acc-1"])
    assert rule["statuses"] == [
        "FIN_UPLOAD_FAILED",
        "FIN_UPLOAD_UNCLEAR",
        "FIN_VEU_CANCELED",
        "FIN_REJECTED",
    ]


def test_the_products_two_default_rules_are_added_at_once(push: Push) -> None:
    added = push("rules", "add", "m-2", "--default-rules", "--to", "u-anna")

    assert added.exit_code == 0, added.stderr
    created = [line for line in added.stdout.splitlines() if line.startswith("created")]
    assert [line.partition('"')[2] for line in created] == [
        'Von der Bank abgelehnt"',
        'Von der Plattform abgelehnt"',
    ]
    again = push("rules", "add", "m-2", "--default-rules", "--to", "u-anna")
    assert again.exit_code == 1
    assert "rules edit changes it" in again.stderr


def test_every_fault_is_told_by_its_option_and_nothing_is_added(push: Push) -> None:
    before = push("rules", "export").stdout

    told = push(
        *("rules", "add", "m-1", "--event", "payment-status-updated", "--status", "FIN_REJECT"),
        *("--to", "u-bne", "--external", "a@x", "--subject", "{{ betrag }}"),
    )

    assert (told.exit_code, told.stdout) == (1, "")
    assert [line.removeprefix("push-services: ")[:44] for line in told.stderr.splitlines()] == [
        "--description is missing",
        '--status: unknown status "FIN_REJECT"; did y',
        "--accounts is missing: all, or a list of ids",
        '--subject: unknown placeholder "betrag"; all',
        '--to: unknown user "u-bne"; did you mean u-b',
        "--external: not a mail address: its domain h",
    ]
    assert push("rules", "export").stdout == before


def test_a_likely_typo_is_noted_and_the_rule_is_added(push: Push) -> None:
    added = push(
        *("rules", "add", "m-1", "--preset", "rejected_by_platform"),
        *("--external", "a@gmial.com; b@mustre.example"),
    )

    assert added.exit_code == 0
    assert [line.partition("; ")[0] for line in added.stderr.splitlines()] == [
        'note: --external: the domain "gmial.com" is close to "gmail.com"',
        'note: --external: the domain "mustre.example" is close to "muster.example"',
    ]


def test_a_description_that_a_rule_has_cannot_be_given_again(push: Push) -> None:
    told = push("rules", "edit", "m-1", "r-rejected", "--description", "Nicht ausgeführt")

    assert told.exit_code == 1
    assert 'rule "r-accounts" has it' in told.stderr


def test_an_edit_shows_what_is_different_and_leaves_the_rest(push: Push) -> None:
    before = shown(push, "m-1", "r-rejected")

    edited = push(
        *("rules", "edit", "m-1", "r-rejected", "--drop-to", "u-ben", "--disabled"),
        *("--subject", "", "--add-external", "neu@kanzlei.example"),
    )

    assert edited.stdout.splitlines() == [
        'changed rule m-1/r-rejected "Abgelehnte Dateien"',
        "  - enabled: true",
        "  - subject: 'Abgelehnt: {{ rule }}'",
        "  + enabled: false",
        "  + subject: ''",
        "  - - u-ben",
        "  + - email: neu@kanzlei.example",
        "0 created, 1 changed, 0 deleted",
    ]
    externals = before["external_recipients"]
    assert isinstance(externals, list)
    assert shown(push, "m-1", "r-rejected") == before | {
        "enabled": False,
        "subject": "",
        "internal_recipients": ["u-anna"],
        "external_recipients": [*externals, {"email": "neu@kanzlei.example"}],
    }


def test_a_dry_edit_shows_the_same_and_changes_nothing(push: Push) -> None:
    before = push("rules", "export").stdout

    told = push("rules", "edit", "m-1", "r-accounts", "--preset", "rejected_by_bank", "--dry-run")

    assert told.stdout.splitlines()[-1].endswith("(dry run: nothing was changed)")
    assert "  - - FIN_VEU_CANCELED" in told.stdout.splitlines()
    assert push("rules", "export").stdout == before


def test_an_edit_as_json_has_the_rule_before_and_after(push: Push) -> None:
    told = push("rules", "edit", "m-1", "r-accounts", "--accounts", "all", "--json")

    (change,) = json.loads(told.stdout)
    assert (change["change"], change["thing"], change["id"]) == ("changed", "rule", "r-accounts")
    assert (change["before"]["bank_accounts"], change["after"]["bank_accounts"]) == (
        ["acc-1"],
        "all",
    )


def test_a_rule_can_be_turned_to_another_event_and_back(push: Push) -> None:
    turned = push("rules", "edit", "m-1", "r-accounts", "--event", "payment-file-rejected")
    back = push(
        *("rules", "edit", "m-1", "r-accounts", "--event", "payment-status-updated"),
        *("--status", "FIN_REJECTED", "--accounts", "acc-1"),
    )

    assert (turned.exit_code, back.exit_code) == (0, 0), turned.stderr + back.stderr
    assert shown(push, "m-1", "r-accounts")["statuses"] == ["FIN_REJECTED"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(("m-9", "r-1", "--enabled"), "there is no tenant 'm-9'", id="tenant"),
        pytest.param(("m-1", "r-9", "--enabled"), "tenant 'm-1' has no rule 'r-9'", id="rule"),
        pytest.param(
            ("m-1", "r-rejected", "--drop-to", "u-x"), "'u-x' is not in the rule", id="drop"
        ),
    ],
)
def test_what_is_not_there_cannot_be_edited(push: Push, words: tuple[str, ...], said: str) -> None:
    told = push("rules", "edit", *words)

    assert (told.exit_code, told.stderr) == (1, f"push-services: {said}\n")


def test_an_edit_of_nothing_is_wrong_usage(push: Push) -> None:
    assert push("rules", "edit", "m-1", "r-rejected").exit_code == 2


def test_the_last_reader_of_a_rule_cannot_be_dropped(push: Push) -> None:
    told = push("rules", "edit", "m-1", "r-accounts", "--drop-to", "u-anna")

    assert (told.exit_code, told.stderr) == (1, "push-services: needs --to or --external\n")
