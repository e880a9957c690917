"""docs/rules.md: its tables are the model's, and its examples do what it says."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from rules_store.migrating import upgrade
from rules_store.sql import SqlRulesStore, engine_for
from rules_store.tables_page import tables_in_words
from schemas.rules import (
    ChosenAccounts,
    ExternalRecipient,
    OnStatusUpdated,
    Rule,
    TenantRules,
)
from schemas.vocabulary import (
    AccountId,
    Language,
    PaymentStatus,
    RuleId,
    SubjectFact,
    TenantId,
    UserId,
)
from tests.real import shells
from tests.real.postgresql import PostgreSQL
from tests.real.shells import Shell

PAGE = Path(__file__).parents[2] / "docs/rules.md"
BEGIN = "<!-- out of the model: begin -->\n"
END = "<!-- out of the model: end -->\n"
_BLOCK = re.compile(r"^```(sql(?: postgresql| sqlite)?|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Example(NamedTuple):
    """Statements, and the rows that the page says they give, if it says so."""

    sql: str
    rows: str | None


def examples(kind: str) -> Iterator[Example]:
    """Yield the page's examples for this kind of database, in their order."""
    blocks = _BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    following = [*blocks[1:], ("", "")]
    for (info, sql), (next_info, text) in zip(blocks, following, strict=True):
        if info in ("sql", f"sql {kind}"):
            yield Example(sql, text if next_info == "text" else None)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def url(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if kind == "postgresql":
        postgresql: PostgreSQL = request.getfixturevalue("postgresql")
        url = postgresql.url()
    else:
        url = f"sqlite:///{tmp_path / 'rules.db'}"
    upgrade(url)
    return url


@pytest.fixture
def shell(kind: str, url: str, request: pytest.FixtureRequest) -> Shell:
    if kind == "postgresql":
        return shells.psql(request.getfixturevalue("psql"), url)
    return shells.sqlite3(request.getfixturevalue("sqlite3"), Path(url.removeprefix("sqlite:///")))


def test_the_tables_are_those_of_the_model() -> None:
    # mend with: python -c 'import rules_store.tables_page as p; print(p.tables_in_words())'
    page = PAGE.read_text(encoding="utf-8")

    shown = page.partition(BEGIN)[2].partition(END)[0]

    assert shown.strip("\n") == tables_in_words().strip("\n")


def test_the_examples_give_the_rows_that_the_page_shows(shell: Shell, kind: str) -> None:
    given = [(example, shell.run(example.sql)) for example in examples(kind)]

    wrong = [(e.sql, rows) for e, rows in given if e.rows is not None and e.rows != rows]
    assert len(given) > 15
    assert wrong == []


def test_the_examples_make_the_rules_that_the_page_speaks_of(
    shell: Shell, kind: str, url: str
) -> None:
    for example in examples(kind):
        shell.run(example.sql)

    (tenant,) = loaded(url)
    (rule,) = tenant.rules
    (external,) = rule.external_recipients
    assert rule == Rule(
        tenant_id=TenantId("m-10482"),
        rule_id=RuleId("r-not-executed"),
        description="Zahlung nicht ausgeführt",
        trigger=OnStatusUpdated(
            frozenset(
                {
                    PaymentStatus.FIN_UPLOAD_FAILED,
                    PaymentStatus.FIN_VEU_CANCELED,
                    PaymentStatus.FIN_REJECTED,
                    PaymentStatus.FIN_PARTIALLY_ACCEPTED,
                }
            ),
            ChosenAccounts(frozenset({AccountId("acc-7731")})),
        ),
        subject="{{ status }} {{ amount }}",
        subject_may_show=frozenset({SubjectFact.AMOUNT}),
        internal_recipients=(UserId("u-anna"), UserId("u-ben")),
        external_recipients=(
            ExternalRecipient(
                address="steuer@kanzlei.example",
                language=Language.DE,
                verified_at=external.verified_at,
            ),
        ),
    )
    assert external.verified_at is not None
    assert [user.active for user in tenant.users.values()] == [False]


def loaded(url: str) -> tuple[TenantRules, ...]:
    engine = engine_for(url)
    try:
        return SqlRulesStore(engine).load().rules.tenants
    finally:
        engine.dispose()


def test_the_examples_are_signed_as_the_page_says(shell: Shell, kind: str) -> None:
    first = next(iter(examples(kind)))

    shell.run(first.sql)

    signed = shell.run("SELECT DISTINCT changed_by FROM push_history WHERE generation > 0")
    assert signed == "eva.admin\n"
