"""An admin brings rules in from files, looks at them, and takes them out again."""

import json
from pathlib import Path

import pytest

from tests.stories.command import TWO_TENANTS, Push, raw

BEN = "      - {id: u-ben, name: Ben Beispiel}\n"
PRESET, STATUSES = "preset: not_executed", "statuses: [FIN_REJECTED]"

#: Ten and one faults of as many kinds.
FAULTY = """\
version: 1
tenants:
  - id: m-9
    name: Faul
    time_zone: Europe/Berln
    users:
      - {id: u-1, name: Anna Beispiel, email: anna.muster.example}
      - {id: u-1, name: Otto Beispiel}
    bank_accounts:
      - {id: acc-1, iban: DE89370400440532013001}
    rules:
      - {description: A, event: payment-file-rejcted, internal_recipients: [u-1]}
      - {description: B, event: payment-file-rejected, internal_recipients: [u-9], colour: red}
      - {description: B, event: payment-file-rejected, internal_recipients: [u-1]}
      - description: C
        event: payment-status-updated
        statuses: [FIN_REJECT]
        bank_accounts: [acc-9]
        internal_recipients: [u-1]
        subject: "{{ betrag }}"
"""


def test_applying_a_file_tells_what_it_created(push: Push, file: Path) -> None:
    applied = push("rules", "apply", str(file))

    assert applied.exit_code == 0
    assert applied.stdout.splitlines() == [
        "created tenant m-1",
        "created user m-1/u-anna",
        "created user m-1/u-ben",
        "created bank account m-1/acc-1",
        'created rule m-1/r-accounts "Nicht ausgeführt"',
        'created rule m-1/r-rejected "Abgelehnte Dateien"',
        "created tenant m-2",
        "created user m-2/u-anna",
        'created rule m-2/r-rejected "Abgelehnte Dateien"',
        "9 created, 0 changed, 0 deleted",
    ]


def test_applying_it_again_changes_nothing(push: Push, file: Path) -> None:
    push("rules", "apply", str(file))

    again = push("rules", "apply", str(file))

    assert again.stdout == "0 created, 0 changed, 0 deleted\n"


def test_applying_an_edited_file_changes_and_deletes(push: Push, file: Path) -> None:
    push("rules", "apply", str(file))
    one_tenant = TWO_TENANTS.split("  - id: m-2")[0]
    without_ben = one_tenant.replace(", u-ben]", "]").replace(BEN, "")
    edited = without_ben.replace("language: en", "language: de").replace(PRESET, STATUSES)
    file.write_text(edited, "utf-8")

    applied = push("rules", "apply", str(file))

    assert applied.stdout.splitlines() == [
        "deleted user m-1/u-ben",
        'changed rule m-1/r-accounts "Nicht ausgeführt"',
        'changed rule m-1/r-rejected "Abgelehnte Dateien"',
        "0 created, 2 changed, 1 deleted",
    ]
    assert "m-2" in push("rules", "list").stdout  # no file named it, so it stayed


def test_a_dry_run_tells_the_same_and_changes_nothing(push: Push, file: Path) -> None:
    told = push("rules", "apply", "--dry-run", str(file))

    assert told.stdout.endswith("9 created, 0 changed, 0 deleted (dry run: nothing was changed)\n")
    assert push("rules", "list").stdout == ""


def test_a_faulty_file_tells_every_fault_on_a_line_and_applies_nothing(
    push: Push, file: Path, tmp_path: Path
) -> None:
    faulty = tmp_path / "faulty.yaml"
    faulty.write_text(FAULTY, "utf-8")

    applied = push("rules", "apply", str(file), str(faulty))

    assert applied.exit_code == 1
    assert applied.stdout == ""
    told = [line.removeprefix(f"{faulty}:")[:56] for line in applied.stderr.splitlines()]
    assert told == [
        '5: tenants[0].time_zone: unknown time zone "Europe/Berln',
        "7: tenants[0].users[0].email: not a mail address: it has",
        '8: tenants[0].users[1].id: duplicate id "u-1"; first giv',
        "10: tenants[0].bank_accounts[0].iban: not an IBAN: lengt",
        '12: tenants[0].rules[0].event: unknown event "payment-fi',
        '13: tenants[0].rules[1].colour: unknown key "colour"; al',
        "13: tenants[0].rules[1].internal_recipients[0]: unknown ",
        "14: tenants[0].rules[2].description: duplicate descripti",
        '17: tenants[0].rules[3].statuses[0]: unknown status "FIN',
        "18: tenants[0].rules[3].bank_accounts[0]: unknown bank a",
        '20: tenants[0].rules[3].subject: unknown placeholder "be',
    ]
    assert push("rules", "list").stdout == ""


def test_a_faulty_file_is_told_also_where_there_are_no_tables(
    push_without_tables: Push, tmp_path: Path
) -> None:
    faulty = tmp_path / "faulty.yaml"
    faulty.write_text(FAULTY, "utf-8")

    applied = push_without_tables("rules", "apply", str(faulty))

    assert (applied.exit_code, len(applied.stderr.splitlines())) == (1, 11)


def test_a_file_that_is_not_there_is_a_fault(push: Push) -> None:
    applied = push("rules", "apply", "nowhere.yaml")

    assert applied.exit_code == 1
    assert applied.stderr == "nowhere.yaml:1: file: cannot be read: No such file or directory\n"


def test_rules_can_be_listed_by_tenant(push: Push, file: Path) -> None:
    push("rules", "apply", str(file))

    listed = push("rules", "list")

    assert [line.split()[:4] for line in listed.stdout.splitlines()] == [
        ["m-1", "r-accounts", "enabled", "payment-status-updated"],
        ["m-1", "r-rejected", "enabled", "payment-file-rejected"],
        ["m-2", "r-rejected", "enabled", "payment-file-rejected"],
    ]
    as_json = json.loads(push("rules", "list", "--json").stdout)
    assert [(rule["tenant"], rule["rule"]) for rule in as_json] == [
        ("m-1", "r-accounts"),
        ("m-1", "r-rejected"),
        ("m-2", "r-rejected"),
    ]


def test_a_rule_is_shown_as_a_file_has_it(push: Push, file: Path) -> None:
    push("rules", "apply", str(file))

    shown = push("rules", "show", "m-2", "r-rejected", "--json")

    assert json.loads(shown.stdout) == {
        "id": "r-rejected",
        "description": "Abgelehnte Dateien",
        "event": "payment-file-rejected",
        "detail": {"internal": "standard", "external": "minimal"},
        "enabled": True,
        "subject": "",
        "internal_recipients": ["u-anna"],
    }


def test_a_rule_is_deleted_in_its_tenant_only(push: Push, file: Path) -> None:
    push("rules", "apply", str(file))

    deleted = push("rules", "delete", "m-1", "r-rejected")

    assert deleted.stdout.splitlines() == [
        'deleted rule m-1/r-rejected "Abgelehnte Dateien"',
        "0 created, 0 changed, 1 deleted",
    ]
    assert push("rules", "show", "m-1", "r-rejected").exit_code == 1
    assert push("rules", "show", "m-2", "r-rejected").exit_code == 0


def test_deleting_a_rule_that_is_not_there_is_a_fault(push: Push) -> None:
    deleted = push("rules", "delete", "m-1", "r-rejected")

    assert (deleted.exit_code, deleted.stdout) == (1, "")
    assert deleted.stderr == "push-services: tenant 'm-1' has no rule 'r-rejected'\n"


def test_what_is_exported_can_be_applied_and_changes_nothing(push: Push, file: Path) -> None:
    push("rules", "apply", str(file))
    exported = push("rules", "export").stdout

    again = push("rules", "apply", "-", input=exported)

    assert again.stdout == "0 created, 0 changed, 0 deleted\n"
    assert push("rules", "export").stdout == exported


def test_an_export_rebuilds_an_empty_store(push: Push, file: Path) -> None:
    push("rules", "apply", str(file))
    exported = push("rules", "export").stdout
    push(
        "rules", "apply", "-", input="version: 1\ntenants: [{id: m-1, name: x}, {id: m-2, name: x}]"
    )

    push("rules", "apply", "-", input=exported)

    assert push("rules", "export").stdout == exported


def test_what_raw_sql_left_dangling_is_exported_and_applied_as_it_is(
    push_without_tables: Push, file: Path, tmp_path: Path
) -> None:
    push = push_without_tables
    push("db", "upgrade")
    push("rules", "apply", str(file))
    raw(tmp_path, "DELETE FROM push_users WHERE user_id = 'u-ben'")
    raw(tmp_path, "DELETE FROM push_bank_accounts")

    again = push("rules", "apply", "-", input=push("rules", "export").stdout)

    assert again.stdout == "0 created, 0 changed, 0 deleted\n"
    assert [line.split(": ", 2)[2] for line in again.stderr.splitlines()] == [
        'note: bank account "acc-1" is gone; the reference stays',
        "note: none of these bank accounts is there any more; it never fires",
        'note: user "u-ben" is gone; the reference stays',
    ]


def test_no_command_prints_an_address_or_an_iban_of_what_it_changes(push: Push, file: Path) -> None:
    applied = push("rules", "apply", str(file))

    assert "@" not in applied.output
    assert "DE89" not in applied.output


def test_tables_are_checked(push_without_tables: Push) -> None:
    before = push_without_tables("db", "check")
    push_without_tables("db", "upgrade")
    after = push_without_tables("db", "check")

    assert (before.exit_code, after.exit_code) == (78, 0)
    assert "push-services db upgrade" in before.stderr


@pytest.mark.parametrize(
    "words", [("rules", "list"), ("rules", "export"), ("rules", "delete", "m-1", "r-1")]
)
def test_without_tables_every_command_names_the_upgrade(
    push_without_tables: Push, words: tuple[str, ...]
) -> None:
    told = push_without_tables(*words)

    assert told.exit_code == 78
    assert "push-services db upgrade" in told.stderr


def test_a_database_that_is_away_ends_the_command(
    push_without_tables: Push, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUSH_DATABASE_URL", "postgresql://push:secret@127.0.0.1:1/push")

    told = push_without_tables("rules", "list")

    assert told.exit_code == 70
    assert told.stderr == "push-services: the rules store gave no answer: OperationalError\n"


ONE_MORE = """\
version: 1
tenants:
  - id: m-1
    name: Muster
    rules:
      - id: r-more
        description: Bestätigt
        event: payment-status-updated
        statuses: [FIN_CONFIRMED]
        bank_accounts: [acc-1]
        internal_recipients: [u-ben, u-anna]
"""


def test_importing_adds_and_deletes_nothing(push: Push, file: Path) -> None:
    push("rules", "apply", str(file))
    before = push("rules", "export").stdout

    told = push("rules", "import", "-", input=ONE_MORE)

    assert told.stdout.splitlines() == [
        'created rule m-1/r-more "Bestätigt"',
        "1 created, 0 changed, 0 deleted",
    ]
    push("rules", "delete", "m-1", "r-more")
    assert push("rules", "export").stdout == before


def test_an_imported_rule_cannot_take_the_description_of_one_that_stays(
    push_sqlite: Push, file: Path
) -> None:
    push_sqlite("rules", "apply", str(file))
    taking = ONE_MORE.replace("Bestätigt", "Abgelehnte Dateien")

    told = push_sqlite("rules", "import", "-", input=taking)

    assert (told.exit_code, told.stdout) == (1, "")
    assert told.stderr == (
        'tenant "m-1": rule "r-more" cannot have the description "Abgelehnte Dateien": '
        'rule "r-rejected" has it\n'
    )


def test_changes_are_told_as_json(push_sqlite: Push, file: Path) -> None:
    told = push_sqlite("rules", "apply", "--json", str(file))

    changes = json.loads(told.stdout)
    assert changes[4] == {
        "change": "created",
        "thing": "rule",
        "tenant": "m-1",
        "id": "r-accounts",
        "description": "Nicht ausgeführt",
    }
    assert len(changes) == 9
    assert json.loads(push_sqlite("rules", "apply", "--json", str(file)).stdout) == []


def test_what_raw_sql_broke_is_exported_and_applied_as_it_is(
    push_sqlite: Push, file: Path, tmp_path: Path
) -> None:
    push_sqlite("rules", "apply", str(file))
    raw(tmp_path, "UPDATE push_users SET email = 'nobody' WHERE user_id = 'u-ben'")
    raw(tmp_path, "UPDATE push_tenants SET time_zone = 'Mars/North' WHERE tenant_id = 'm-2'")
    raw(tmp_path, "UPDATE push_rules SET subject = '{{ betrag }}' WHERE rule_id = 'r-accounts'")
    raw(tmp_path, "DELETE FROM push_rule_statuses")

    again = push_sqlite("rules", "apply", "-", input=push_sqlite("rules", "export").stdout)

    assert again.stdout == "0 created, 0 changed, 0 deleted\n"
    assert [line.split(": ")[1] for line in again.stderr.splitlines()] == [
        "tenants[0].users[1].email",
        "tenants[0].rules[0].statuses",
        "tenants[0].rules[0].subject",
        "tenants[1].time_zone",
    ]
    assert again.stderr.count("the store has it so, and it stays") == 4
