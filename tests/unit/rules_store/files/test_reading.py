import json
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from rules_store.changes import rule_as_meant
from rules_store.files.exporting import as_rules_file
from rules_store.files.reading import FiledRules, RulesFile, read_rules_files
from rules_store.files.yaml import LARGEST_TENANT
from schemas.bank_accounts import Iban
from schemas.errors import InvalidInput
from schemas.rules import (
    AllAccounts,
    ChosenAccounts,
    ExternalRecipient,
    OnFileRejected,
    OnStatusUpdated,
    Rule,
    Tenant,
    Trigger,
    User,
)
from schemas.vocabulary import (
    STATUS_PRESETS,
    AccountId,
    DetailLevel,
    Language,
    PaymentStatus,
    RuleId,
    SubjectFact,
    TenantId,
    UserId,
)

DEMO = Path(__file__).parents[4] / "consumer" / "demo" / "rules.yaml"

# The example of the form, as its documentation shows it.
EXAMPLE = """\
version: 1
tenants:
  - id: m-10482
    name: Muster Maschinenbau GmbH
    language: de                 # de | en, default de
    time_zone: Europe/Berlin     # default
    users:
      - {id: u-anna, name: Anna Beispiel, email: anna@muster.example, language: de, active: true}
    bank_accounts:
      - {id: acc-7731, iban: DE89370400440532013000, description: Hauptkonto}
    rules:
      - id: r-rejected
        description: Abgelehnte Dateien
        event: payment-file-rejected
        subject: "Abgelehnt: {{ rule }}"
        internal_recipients: [u-anna]
        external_recipients: [{email: steuer@kanzlei.example, language: de}]
      - description: Nicht ausgeführt
        event: payment-status-updated
        statuses: [FIN_REJECTED, FIN_UPLOAD_FAILED]
        bank_accounts: [acc-7731]
        detail: {internal: standard, external: minimal}
        subject_may_show: [amount, reference]
        enabled: true
        subject: "{{ status }}: {{ tenant }}"
        internal_recipients: [u-anna]
"""


def read(*texts: str) -> FiledRules:
    files = [
        RulesFile(f"{name}.yaml", text.encode()) for name, text in zip("abc", texts, strict=False)
    ]
    return read_rules_files(files)


def faults(*texts: str) -> tuple[str, ...]:
    with pytest.raises(InvalidInput) as caught:
        read(*texts)
    return caught.value.faults


ANNA = "[{id: u-1, name: Anna Beispiel, email: anna@muster.example}]"


def a_file(rule: str, *, users: str = ANNA) -> str:
    """Return a file with one rule; its lines start at line 9."""
    lines = "".join(f"        {line}\n" for line in rule.splitlines())
    return (
        "version: 1\ntenants:\n  - id: m-1\n    name: Muster\n"
        f"    users: {users}\n    bank_accounts: [{{id: acc-1}}]\n    rules:\n      -\n{lines}"
    )


def the_rule(text: str) -> Rule:
    (tenant,) = read(a_file(text)).tenants
    (rule,) = tenant.rules
    return rule


UPDATED = "description: R\nevent: payment-status-updated\n"
FULL = UPDATED + "statuses: [FIN_REJECTED]\nbank_accounts: all\ninternal_recipients: [u-1]\n"
REJECTED = "description: R\nevent: payment-file-rejected\ninternal_recipients: [u-1]\n"


PLATFORM = "preset: rejected_by_platform\ninternal_recipients: [u-1]\n"
BANK = "preset: rejected_by_bank\nbank_accounts: all\ninternal_recipients: [u-1]\n"


def test_the_documented_example_is_read_in_full() -> None:
    (tenant,) = read(EXAMPLE).tenants

    assert tenant.tenant == Tenant(tenant_id=TenantId("m-10482"), name="Muster Maschinenbau GmbH")
    assert tenant.users[UserId("u-anna")] == User(
        user_id=UserId("u-anna"),
        name="Anna Beispiel",
        email="anna@muster.example",
        language=Language.DE,
    )
    assert tenant.bank_accounts[AccountId("acc-7731")].iban == Iban("DE89370400440532013000")
    not_executed, rejected = tenant.rules
    assert not_executed == Rule(
        tenant_id=TenantId("m-10482"),
        rule_id=RuleId("r-5f13557c2a76"),
        description="Nicht ausgeführt",
        trigger=OnStatusUpdated(
            frozenset({PaymentStatus.FIN_REJECTED, PaymentStatus.FIN_UPLOAD_FAILED}),
            ChosenAccounts(frozenset({AccountId("acc-7731")})),
        ),
        subject="{{ status }}: {{ tenant }}",
        subject_may_show=frozenset(SubjectFact),
        internal_recipients=(UserId("u-anna"),),
    )
    assert rejected == Rule(
        tenant_id=TenantId("m-10482"),
        rule_id=RuleId("r-rejected"),
        description="Abgelehnte Dateien",
        trigger=OnFileRejected(),
        subject="Abgelehnt: {{ rule }}",
        internal_recipients=(UserId("u-anna"),),
        external_recipients=(
            ExternalRecipient(address="steuer@kanzlei.example", language=Language.DE),
        ),
    )


def test_a_preset_stands_for_its_statuses_and_all_for_every_account() -> None:
    rule = the_rule(
        UPDATED + "preset: not_executed\nbank_accounts: all\ninternal_recipients: [u-1]"
    )

    assert rule.trigger == OnStatusUpdated(STATUS_PRESETS["not_executed"], AllAccounts())


@pytest.mark.parametrize(
    ("rule", "description", "trigger"),
    [
        pytest.param(PLATFORM, "Von der Plattform abgelehnt", OnFileRejected(), id="platform"),
        pytest.param(
            BANK,
            "Von der Bank abgelehnt",
            OnStatusUpdated(frozenset({PaymentStatus.FIN_REJECTED}), AllAccounts()),
            id="bank",
        ),
        pytest.param(
            BANK.replace("rejected_by_bank", "not_executed"),
            "Nicht ausgeführt",
            OnStatusUpdated(STATUS_PRESETS["not_executed"], AllAccounts()),
            id="not executed",
        ),
        pytest.param("description: R\n" + PLATFORM, "R", OnFileRejected(), id="own description"),
    ],
)
def test_a_preset_brings_event_statuses_and_a_description(
    rule: str, description: str, trigger: Trigger
) -> None:
    filed = read(a_file(rule))

    (found,) = filed.tenants[0].rules
    assert (found.description, found.trigger, filed.notes) == (description, trigger, ())


def test_a_preset_describes_the_rule_in_the_tenants_language() -> None:
    (tenant,) = read(a_file(BANK).replace("name: Muster", "name: Muster\n    language: en")).tenants

    assert tenant.rules[0].description == "Rejected by the bank"


def test_the_id_of_a_rule_without_one_is_made_of_its_description_in_nfc() -> None:
    composed = the_rule(REJECTED.replace("R\n", "Gel\u00f6scht\n", 1))
    decomposed = the_rule(REJECTED.replace("R\n", "Gelo\u0308scht\n", 1))

    # printf Gelöscht | sha256sum
    assert composed.rule_id == decomposed.rule_id == "r-d375dc3548e0"


def test_a_bare_address_will_do_and_its_language_is_open() -> None:
    rule = the_rule(REJECTED + "external_recipients: [steuer@Kanzlei.EXAMPLE]")

    assert rule.external_recipients == (ExternalRecipient(address="steuer@kanzlei.example"),)


def test_an_address_given_twice_is_no_fault() -> None:
    rule = the_rule(
        REJECTED + "external_recipients: [{email: a@x.example, language: en}, a@X.example]"
    )

    assert rule.external_recipients == (
        ExternalRecipient(address="a@x.example", language=Language.EN),
    )


def test_a_list_of_the_old_form_is_split() -> None:
    rule = the_rule(REJECTED + 'external_recipients: ["a@x.example; b@x.example"]')

    assert [one.address for one in rule.external_recipients] == ["a@x.example", "b@x.example"]


def test_full_for_externals_is_noted_and_lowered() -> None:
    filed = read(a_file(REJECTED + "detail: {external: full}"))

    assert filed.tenants[0].rules[0].detail_external is DetailLevel.STANDARD
    (note,) = filed.notes
    assert note == (
        "a.yaml:12: tenants[0].rules[0].detail.external: note: "
        "full is for internal recipients only; lowered to standard"
    )


def test_statuses_and_accounts_of_a_rule_for_rejected_files_are_noted_and_not_stored() -> None:
    filed = read(a_file(REJECTED + "statuses: [NONSENSE]\nbank_accounts: all"))

    assert filed.tenants[0].rules[0].trigger == OnFileRejected()
    assert [note.split(":")[1:3] for note in filed.notes] == [
        ["12", " tenants[0].rules[0].statuses"],
        ["13", " tenants[0].rules[0].bank_accounts"],
    ]


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        pytest.param(
            FULL + "colour: red",
            '14: tenants[0].rules[0].colour: unknown key "colour"; allowed: description, event,',
            id="unknown key",
        ),
        pytest.param(
            FULL.replace("description", "descripton"),
            '9: tenants[0].rules[0].descripton: unknown key "descripton"; did you mean descri',
            id="misspelt key",
        ),
        pytest.param(
            FULL.replace("description: R\n", ""),
            '9: tenants[0].rules[0]: missing key "description"',
            id="missing key",
        ),
        pytest.param(
            FULL + "enabled: true\nenabled: false",
            '15: tenants[0].rules[0].enabled: duplicate key "enabled"; first given in line 14',
            id="duplicate key",
        ),
        pytest.param(
            FULL.replace("updated", "changed"),
            '10: tenants[0].rules[0].event: unknown event "payment-status-changed"; '
            "did you mean payment-status-updated? Allowed: payment-file-rejected, payment-sta",
            id="event",
        ),
        pytest.param(
            FULL.replace("FIN_REJECTED", "FIN_REJECT"),
            '11: tenants[0].rules[0].statuses[0]: unknown status "FIN_REJECT"; '
            "did you mean FIN_REJECTED? Allowed: KON_ACCEPTED_AND_QUEUED, FIN_UPLOAD_SUCCEEDED,",
            id="status",
        ),
        pytest.param(
            FULL.replace("FIN_REJECTED", "KON_REJECTED"),
            '11: tenants[0].rules[0].statuses[0]: "KON_REJECTED" cannot be ticked, '
            "it is the event payment-file-rejected; allowed: KON_ACCEPTED_AND_QUEUED,",
            id="the status that is an event",
        ),
        pytest.param(
            FULL.replace("[FIN_REJECTED]", "[]"),
            "11: tenants[0].rules[0].statuses: must not be an empty list",
            id="no status",
        ),
        pytest.param(
            FULL + "preset: not_executed",
            "9: tenants[0].rules[0]: needs statuses or preset, exactly one of the two",
            id="statuses and preset",
        ),
        pytest.param(
            FULL.replace("statuses: [FIN_REJECTED]\n", ""),
            "9: tenants[0].rules[0]: needs statuses or preset, exactly one of the two",
            id="neither statuses nor preset",
        ),
        pytest.param(
            FULL.replace("statuses: [FIN_REJECTED]", "preset: executed"),
            '11: tenants[0].rules[0].preset: unknown preset "executed"; '
            "did you mean not_executed? Allowed: not_executed, rejected_by_platform, rejected_by_b",
            id="preset",
        ),
        pytest.param(
            UPDATED + BANK.replace("bank", "platform", 1),
            "11: tenants[0].rules[0].preset: this preset is for the event payment-file-rejected",
            id="preset of another event",
        ),
        pytest.param(
            BANK.replace("bank_accounts: all\n", ""),
            '9: tenants[0].rules[0]: missing key "bank_accounts": all, or a list of ids',
            id="preset without accounts",
        ),
        pytest.param(
            FULL.replace("all", "[all, acc-1]"),
            "12: tenants[0].rules[0].bank_accounts: all stands alone, without brackets and",
            id="all and a list",
        ),
        pytest.param(
            FULL.replace("bank_accounts: all\n", ""),
            '9: tenants[0].rules[0]: missing key "bank_accounts": all, or a list of ids',
            id="accounts missing",
        ),
        pytest.param(
            FULL.replace("all", "[]"),
            "12: tenants[0].rules[0].bank_accounts: must not be an empty list",
            id="no account",
        ),
        pytest.param(
            FULL.replace("all", "[acc-9]"),
            '12: tenants[0].rules[0].bank_accounts[0]: unknown bank account "acc-9"; '
            "did you mean acc-1? Allowed: acc-1",
            id="account",
        ),
        pytest.param(
            FULL.replace("all", "some"),
            "12: tenants[0].rules[0].bank_accounts: must be all, or a list of ids",
            id="neither all nor a list",
        ),
        pytest.param(
            FULL.replace("u-1", "x-otto"),
            '13: tenants[0].rules[0].internal_recipients[0]: unknown user "x-otto"; allowed: u-1',
            id="user",
        ),
        pytest.param(
            FULL.replace("u-1", "anna"),
            "13: tenants[0].rules[0].internal_recipients[0]: unknown user (not shown); allowed: u",
            id="a user's name",
        ),
        pytest.param(
            FULL.replace("[u-1]", "[]"),
            "13: tenants[0].rules[0].internal_recipients: must not be an empty list",
            id="no recipient",
        ),
        pytest.param(
            FULL.replace("internal_recipients: [u-1]\n", ""),
            "9: tenants[0].rules[0]: needs internal_recipients or external_recipients",
            id="recipients missing",
        ),
        pytest.param(
            FULL + "external_recipients: [anna]",
            "14: tenants[0].rules[0].external_recipients[0]: not a mail address: it has no @; allo",
            id="address",
        ),
        pytest.param(
            FULL + "external_recipients: [{email: a@x.example, language: fr}]",
            "14: tenants[0].rules[0].external_recipients[0].language: "
            'unknown language "fr"; allowed: de, en',
            id="language",
        ),
        pytest.param(
            FULL + 'subject: "{{ betrag }}"',
            '14: tenants[0].rules[0].subject: unknown placeholder "betrag"; allowed are date, even',
            id="placeholder",
        ),
        pytest.param(
            FULL + 'subject: "{{ amount }}"',
            '14: tenants[0].rules[0].subject: placeholder "amount" needs "amount" in subject_may',
            id="placeholder without opt-in",
        ),
        pytest.param(
            FULL + "subject_may_show: [sum]",
            '14: tenants[0].rules[0].subject_may_show[0]: unknown fact "sum"; allowed: amount, ref',
            id="fact",
        ),
        pytest.param(
            FULL + "detail: {internal: most}",
            '14: tenants[0].rules[0].detail.internal: unknown detail level "most"; allowed: min',
            id="detail level",
        ),
        pytest.param(
            FULL + 'enabled: "yes"',
            "14: tenants[0].rules[0].enabled: must be true or false",
            id="flag",
        ),
        pytest.param(
            FULL + "id: 4711",
            '14: tenants[0].rules[0].id: YAML reads "4711" as a number; quote it, an id is text',
            id="id as a number",
        ),
        pytest.param(
            FULL + "id: no",
            '14: tenants[0].rules[0].id: YAML reads "no" as true or false; quote it, an id is text',
            id="id as a flag",
        ),
        pytest.param(
            FULL + "id: 2026-01-31",
            '14: tenants[0].rules[0].id: YAML reads "2026-01-31" as a date; quote it',
            id="id as a date",
        ),
        pytest.param(
            FULL + 'id: " r"',
            "14: tenants[0].rules[0].id: must not begin or end with a space",
            id="id with a space",
        ),
        pytest.param(
            FULL.replace("R\n", '"a\\nb"\n', 1),
            "9: tenants[0].rules[0].description: must not hold control characters or line breaks",
            id="description of two lines",
        ),
        pytest.param(
            FULL.replace("R\n", '""\n', 1),
            "9: tenants[0].rules[0].description: must not be empty",
            id="empty description",
        ),
        pytest.param(
            FULL.replace("[FIN_REJECTED]", "FIN_REJECTED"),
            "11: tenants[0].rules[0].statuses: must be a list",
            id="a word for a list",
        ),
        pytest.param(
            FULL + "detail: full", "14: tenants[0].rules[0].detail: must be a mapping", id="mapping"
        ),
        pytest.param(
            FULL + "subject: [a]", "14: tenants[0].rules[0].subject: must be text", id="text"
        ),
    ],
)
def test_a_fault_of_a_rule_is_one_line_with_its_place(rule: str, fault: str) -> None:
    (found,) = faults(a_file(rule))

    assert found.startswith(f"a.yaml:{fault}")


HEAD = "version: 1\ntenants:\n  - id: m-1\n    name: Muster\n"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param("", "1: file: the file is empty", id="empty"),
        pytest.param("tenants: []", '1: file: missing key "version"', id="no version"),
        pytest.param(
            "version: 2\ntenants: []", '1: version: unknown version "2"; allowed: 1', id="version"
        ),
        pytest.param(
            'version: "1"\ntenants: []', '1: version: unknown version "1"; allow', id="text version"
        ),
        pytest.param("- a", "1: file: must be a mapping", id="a list"),
        pytest.param("version: 1\ntenants:", "2: tenants: must be a list", id="no tenants"),
        pytest.param("a: [1,\nb: }", "2: file: not YAML: ", id="syntax"),
        pytest.param("version: 1\n\tb: 2", "2: file: not YAML: ", id="tab"),
        pytest.param("a: \x07", "1: file: not YAML: ", id="control character"),
        pytest.param(
            "version: 1\ntenants: &a [*a]", "2: file: aliases (*name) are not allowed", id="alias"
        ),
        pytest.param(
            "version: !!python/object:os.system 1", "1: file: tags (!name) are not all", id="tag"
        ),
        pytest.param("a: 1\n---\nb: 2", "2: file: a rules file is one YAML", id="documents"),
        pytest.param("[" * 10_000, "1: file: lists and mappings stand too deep", id="depth"),
        pytest.param(
            HEAD + f"    users: [{'x' * LARGEST_TENANT}, []]",
            "5: file: one tenant has more than",
            id="size",
        ),
        pytest.param(
            HEAD + "    time_zone: Europe/Berln",
            '5: tenants[0].time_zone: unknown time zone "Europe/Berln"; '
            "did you mean Europe/Berlin? Allowed: names of the IANA time zone database",
            id="time zone",
        ),
        pytest.param(
            HEAD + "    time_zone: ../../etc/passwd",
            '5: tenants[0].time_zone: unknown time zone "../../etc/passwd"; allowed: names',
            id="time zone as a path",
        ),
        pytest.param(
            HEAD + "    users:\n      - {id: u-1, name: A}\n      - {id: u-1, name: B}",
            '7: tenants[0].users[1].id: duplicate id "u-1"; first given in line 6',
            id="duplicate user",
        ),
        pytest.param(
            HEAD + "    users:\n      - {id: u-1, name: A, email: anna.muster.example}",
            "6: tenants[0].users[0].email: not a mail address: it has no @; allowed: an",
            id="address of a user",
        ),
        pytest.param(
            HEAD + "    users:\n      - {id: u-1, name: A, email: }",
            "6: tenants[0].users[0].email: must be text; leave the key out",
            id="empty address",
        ),
        pytest.param(
            HEAD + "    users:\n      - {id: u-1, name: 4711}",
            "6: tenants[0].users[0].name: must be text; YAML reads this as a number: quote it",
            id="name as a number",
        ),
        pytest.param(
            HEAD + "    bank_accounts:\n      - {id: a, iban: DE89370400440532013001}",
            "6: tenants[0].bank_accounts[0].iban: not an IBAN: length, signs or check digits",
            id="IBAN check digits",
        ),
        pytest.param(
            HEAD + "    anna@muster.example: 1",
            "5: tenants[0]: unknown key (not shown); allowed: id, name, language, time_zone,",
            id="an address as a key",
        ),
        pytest.param(
            HEAD + "  - id: m-1\n    name: Noch einer",
            '5: tenants[1].id: duplicate tenant "m-1"; it is in a.yaml:3',
            id="tenant twice",
        ),
    ],
)
def test_a_fault_of_a_file_is_one_line_with_its_place(text: str, fault: str) -> None:
    (found,) = faults(text)

    assert found.startswith(f"a.yaml:{fault}")


def test_bytes_that_are_no_utf_8_are_a_fault_at_their_line() -> None:
    with pytest.raises(InvalidInput) as caught:
        read_rules_files([RulesFile("a.yaml", b"version: 1\nx: \xff")])

    assert caught.value.faults == ("a.yaml:2: file: not UTF-8",)


def test_a_tenant_in_two_files_is_a_fault() -> None:
    assert faults(HEAD, HEAD) == (
        'b.yaml:3: tenants[0].id: duplicate tenant "m-1"; it is in a.yaml:3',
    )


@pytest.mark.parametrize(
    ("first", "second", "fault"),
    [
        pytest.param(
            "{id: r, description: A,", "{id: r, description: B,", 'id: duplicate id "r"', id="id"
        ),
        pytest.param(
            "{description: A,",
            "{description: A,",
            'description: duplicate description "A"',
            id="text",
        ),
        pytest.param(
            "{id: r-1, description: \u00e9,",
            "{id: r-2, description: e\u0301,",
            'description: duplicate description "e\u0301"',
            id="text in another form",
        ),
    ],
)
def test_rules_that_cannot_be_told_apart_are_a_fault(first: str, second: str, fault: str) -> None:
    rest = " event: payment-file-rejected, internal_recipients: [u-1]}\n"
    users = "    users: [{id: u-1, name: A}]\n    rules:\n"

    found = faults(f"{HEAD}{users}      - {first}{rest}      - {second}{rest}")

    assert found == (f"a.yaml:8: tenants[0].rules[1].{fault}; first given in line 7",)


def test_all_faults_of_all_files_are_told_from_top_to_bottom() -> None:
    found = faults(
        a_file(FULL + "a1: 1").replace("name: Muster\n", "name: [Muster]\n"),
        a_file(FULL + "b1: 1").replace("m-1", "m-2"),
        "nonsense: 1",
    )

    assert [fault.split(" ")[0] for fault in found] == [
        "a.yaml:4:",
        "a.yaml:14:",
        "b.yaml:14:",
        "c.yaml:1:",
        "c.yaml:1:",
        "c.yaml:1:",
    ]


@pytest.mark.parametrize(
    "private", ["otto@geheim.example", "DE89 3704 0044 0532 0130 01", "DE89370400440532013001"]
)
def test_no_fault_quotes_an_address_or_an_iban_wherever_it_stands(private: str) -> None:
    rule = (
        "description: 1\nevent: X\nstatuses: [X]\npreset: X\nbank_accounts: [X]\nenabled: X\n"
        "internal_recipients: [X]\nexternal_recipients: [{email: X Y, language: X}]\nX: 1\n"
        "detail: {internal: X}\nsubject_may_show: [X]\nsubject: '{{ X }}'\n"
    )

    found = faults(a_file(rule.replace("X", private)).replace("id: m-1\n", f"id: {private}\n"))

    assert len(found) >= 10
    assert [fault for fault in found if private in fault] == []


def test_a_dangling_reference_of_the_store_may_stay() -> None:
    (before,) = read(a_file(FULL + "id: r-1\nsubject: before")).tenants
    without_user = replace(before, users={})
    text = a_file(FULL + "id: r-1\nsubject: after", users="[]")

    filed = read_rules_files([RulesFile("a.yaml", text.encode())], lambda _: without_user)

    place = "a.yaml:13: tenants[0].rules[0].internal_recipients"
    assert filed.tenants[0].rules[0].internal_recipients == ("u-1",)
    assert filed.notes == (
        f'{place}[0]: note: user "u-1" is gone; the reference stays',
        f"{place}: note: nobody is left to get its mails: 1 deleted",
    )


def test_what_is_exported_is_read_back_the_same() -> None:
    texts = [EXAMPLE, DEMO.read_text("utf-8").replace("m-10482", "m-1")]
    tenants = read(*texts).tenants

    again = read(as_rules_file(tenants))

    ordered = sorted(tenants, key=lambda tenant: tenant.tenant.tenant_id)
    assert again.tenants == tuple(ordered)
    assert [rule_as_meant(rule) for rule in again.tenants[0].rules] == list(again.tenants[0].rules)


def test_exported_text_that_looks_like_something_else_stays_text() -> None:
    text = EXAMPLE.replace("r-rejected", '"0123"').replace("u-anna", '"on"')

    exported = as_rules_file(read(text).tenants)

    assert read(exported) == read(text)


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    text = (resources.files("rules_store") / "rules.schema.json").read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    jsonschema.Draft202012Validator.check_schema(schema)
    return schema


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(EXAMPLE, id="the documented example"),
        pytest.param(DEMO.read_text("utf-8"), id="the demo"),
        pytest.param("version: 1\ntenants: []", id="nothing"),
        pytest.param(a_file(REJECTED + "statuses: [X]\npreset: y\nbank_accounts: []"), id="noted"),
        pytest.param(a_file(FULL + "detail: {external: full}"), id="lowered"),
        pytest.param(a_file(FULL + "external_recipients: [a@x.example]"), id="bare address"),
        pytest.param(a_file(FULL + "subject_may_show: []\nsubject: ''"), id="empty texts"),
        pytest.param(a_file(PLATFORM), id="the preset of the platform"),
        pytest.param(a_file(BANK), id="the preset of the bank"),
        pytest.param(a_file("event: payment-file-rejected\n" + PLATFORM), id="preset and event"),
        pytest.param(as_rules_file(read(EXAMPLE).tenants), id="an export"),
    ],
)
def test_the_json_schema_accepts_what_is_read(schema: dict[str, Any], text: str) -> None:
    read(text)

    jsonschema.validate(yaml.safe_load(text), schema)


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param(FULL + "colour: red", id="unknown key"),
        pytest.param(FULL.replace("FIN_REJECTED", "KON_REJECTED"), id="status"),
        pytest.param(FULL.replace("[FIN_REJECTED]", "[]"), id="no status"),
        pytest.param(FULL + "preset: not_executed", id="statuses and preset"),
        pytest.param(FULL.replace("bank_accounts: all\n", ""), id="accounts missing"),
        pytest.param(FULL.replace("[u-1]", "[]"), id="no recipient"),
        pytest.param(FULL + "id: 4711", id="id as a number"),
        pytest.param(BANK.replace("bank_accounts: all\n", ""), id="preset without accounts"),
        pytest.param(BANK + "statuses: [FIN_REJECTED]", id="preset and statuses"),
        pytest.param("event: payment-status-updated\n" + PLATFORM, id="preset of another event"),
        pytest.param("internal_recipients: [u-1]", id="neither event nor preset"),
    ],
)
def test_the_json_schema_refuses_what_a_schema_can(schema: dict[str, Any], rule: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(a_file(rule)), schema)
