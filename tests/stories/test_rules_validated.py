"""An operator asks whether the rules are in order, whoever wrote them."""

import json
from pathlib import Path

import pytest

from tests.stories.command import TWO_TENANTS, Push, raw


@pytest.fixture
def push(push_sqlite: Push, file: Path) -> Push:
    """Return `push-services` with the two tenants in its database."""
    push_sqlite("rules", "apply", str(file))
    return push_sqlite


def test_rules_that_a_file_brought_in_are_in_order(push: Push) -> None:
    told = push("rules", "validate")

    assert (told.exit_code, told.stdout) == (0, "2 tenants, 3 rules: 0 faults, 0 notes\n")


@pytest.mark.parametrize(
    ("statement", "line"),
    [
        pytest.param(
            "UPDATE push_users SET email = 'nobody' WHERE user_id = 'u-ben'",
            "user m-1/u-ben: email: not a mail address: it has no @",
            id="address of a user",
        ),
        pytest.param(
            "UPDATE push_bank_accounts SET iban = 'DE89370400440532013001'",
            "bank account m-1/acc-1: iban: not an IBAN: length, signs or check digits",
            id="check digits",
        ),
        pytest.param(
            "UPDATE push_tenants SET time_zone = 'Mars/North' WHERE tenant_id = 'm-2'",
            'tenant m-2: time_zone: unknown time zone "Mars/North"',
            id="time zone",
        ),
        pytest.param(
            "UPDATE push_rules SET subject = '{{ betrag }}' WHERE rule_id = 'r-accounts'",
            'rule m-1/r-accounts: subject: unknown placeholder "betrag"',
            id="placeholder",
        ),
        pytest.param(
            "UPDATE push_rules SET subject = '{{ amount }}' WHERE rule_id = 'r-accounts'",
            'rule m-1/r-accounts: subject: placeholder "amount" needs "amount" in subject_may',
            id="placeholder without opt-in",
        ),
        pytest.param(
            "INSERT INTO push_rule_statuses VALUES ('m-1', 'r-accounts', 'KON_REJECTED')",
            'rule m-1/r-accounts: statuses[4]: "KON_REJECTED" cannot be ticked',
            id="a status that cannot be ticked",
        ),
        pytest.param(
            "DELETE FROM push_rule_accounts",
            "rule m-1/r-accounts: bank_accounts: must not be an empty list",
            id="no account",
        ),
        pytest.param(
            "DELETE FROM push_rule_internal_recipients WHERE tenant_id = 'm-2'",
            "rule m-2/r-rejected: needs internal_recipients or external_recipients",
            id="nobody to mail to",
        ),
        pytest.param(
            "UPDATE push_rule_external_recipients SET address = 'a@x.example; b'",
            "rule m-1/r-rejected: external_recipients[0].email: not a mail address: it has no @",
            id="one of a list of addresses",
        ),
    ],
)
def test_what_raw_sql_broke_is_a_fault_with_its_place(
    push: Push, tmp_path: Path, statement: str, line: str
) -> None:
    raw(tmp_path, statement)

    told = push("rules", "validate")

    assert told.exit_code == 1
    found, total = told.stdout.splitlines()
    assert found.startswith(line)
    assert total == "2 tenants, 3 rules: 1 fault, 0 notes"


@pytest.mark.parametrize(
    ("statement", "line"),
    [
        pytest.param(
            "DELETE FROM push_users WHERE user_id = 'u-ben'",
            'rule m-1/r-rejected: internal_recipients[1]: note: user "u-ben" is gone',
            id="a user that is gone",
        ),
        pytest.param(
            "UPDATE push_users SET active = 0 WHERE tenant_id = 'm-2'",
            "rule m-2/r-rejected: internal_recipients: note: nobody is left to get its mails: 1 in",
            id="nobody left",
        ),
        pytest.param(
            "UPDATE push_rule_external_recipients SET address = 'a@mustre.example'",
            'rule m-1/r-rejected: external_recipients: note: the domain "mustre.example" is close',
            id="a likely typo",
        ),
        pytest.param(
            "UPDATE push_rules SET detail_external = 'full' WHERE rule_id = 'r-accounts'",
            "rule m-1/r-accounts: detail.external: note: full is for internal recipients only",
            id="full for externals",
        ),
    ],
)
def test_what_is_odd_is_a_note_and_no_failure(
    push: Push, tmp_path: Path, statement: str, line: str
) -> None:
    raw(tmp_path, statement)

    told = push("rules", "validate")

    assert told.exit_code == 0
    assert told.stdout.splitlines()[0].startswith(line)
    assert told.stdout.splitlines()[-1] == "2 tenants, 3 rules: 0 faults, 1 note"


def test_a_rule_that_disabled_itself_is_listed_and_counted_and_the_others_go_on(
    push: Push, tmp_path: Path
) -> None:
    raw(tmp_path, "UPDATE push_rules SET description = x'00' WHERE rule_id = 'r-accounts'")

    told = push("rules", "validate")

    assert told.exit_code == 1
    assert told.stdout.splitlines() == [
        "rule m-1/r-accounts: has disabled itself: description is no text",
        "rule m-1/r-accounts: description: must be text",
        "2 tenants, 3 rules: 2 faults, 0 notes; rules that have disabled themselves: 1",
    ]
    assert [rule["rule"] for rule in json.loads(push("rules", "list", "--json").stdout)] == [
        "r-rejected",
        "r-rejected",
    ]


def test_one_tenant_can_be_checked_and_findings_come_as_json(push: Push, tmp_path: Path) -> None:
    raw(tmp_path, "UPDATE push_users SET email = 'nobody'")

    told = push("rules", "validate", "--tenant", "m-2", "--json")

    assert told.exit_code == 1
    fault, note = json.loads(told.stdout)
    assert fault == {
        "kind": "fault",
        "tenant": "m-2",
        "thing": "user",
        "id": "u-anna",
        "key": "email",
        "text": "not a mail address: it has no @; allowed: an address like name@company.example",
        "disabled_itself": False,
    }
    assert note["kind"] == "note"


def test_files_are_checked_without_a_store(push_without_tables: Push, file: Path) -> None:
    told = push_without_tables("rules", "validate", str(file))

    assert (told.exit_code, told.stdout) == (0, "2 tenants, 3 rules: 0 faults, 0 notes\n")


def test_faults_of_files_have_their_lines(push_without_tables: Push) -> None:
    faulty = TWO_TENANTS.replace("not_executed", "not_excuted")

    told = push_without_tables("rules", "validate", "-", input=faulty)

    assert told.exit_code == 1
    fault, total = told.stdout.splitlines()
    assert fault.startswith('<stdin>:20: tenants[0].rules[1].preset: unknown preset "not_excuted"')
    assert total == "1 fault, 0 notes"


def test_no_finding_says_an_address_or_an_iban(push: Push, tmp_path: Path) -> None:
    raw(tmp_path, "UPDATE push_users SET email = 'geheim@@muster.example'")
    raw(tmp_path, "UPDATE push_bank_accounts SET iban = 'DE89370400440532013001'")

    told = push("rules", "validate")

    assert "geheim" not in told.output
    assert "DE89" not in told.output
