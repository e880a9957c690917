"""What files say about settings is what `Settings` says: each is generated out of it."""

import re
from pathlib import Path

import pytest

from consumer.settings import is_setting
from consumer.settings_documents import example_env, settings_table

ROOT = Path(__file__).parents[2]
BEGIN = "<!-- out of Settings: begin -->\n"
END = "<!-- out of Settings: end -->\n"
#: The changelog and the decisions may name what is gone.
PAGES = sorted(
    {*ROOT.glob("docs/*.md"), *ROOT.glob("*.md")} - {ROOT / "CHANGELOG.md", ROOT / "DECISIONS.md"}
)


def test_the_example_of_settings_is_the_one_that_settings_give() -> None:
    # mend with: python -c 'import consumer.settings_documents as s; print(s.example_env(), end="")'
    example = (ROOT / "deploy/settings.example.env").read_text(encoding="utf-8")

    assert example.rstrip("\n") == example_env().rstrip("\n")


def test_the_table_of_settings_is_the_one_that_settings_give() -> None:
    # mend with: python -c 'import consumer.settings_documents as s; print(s.settings_table())'
    page = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")

    table = page.partition(BEGIN)[2].partition(END)[0]

    assert table.strip("\n") == settings_table().strip("\n")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_no_setting_that_is_none(page: Path) -> None:
    # PUSH_TOPIC_… with an ellipsis names several and ends in an underscore
    named = re.findall(r"\bPUSH_[A-Z0-9_]+\b", page.read_text(encoding="utf-8"))

    assert [name for name in named if not name.endswith("_") and not is_setting(name)] == []
