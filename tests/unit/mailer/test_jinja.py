"""Templates that are resolved when compiled, against ordinary Jinja with gettext at run time."""

from collections.abc import Mapping
from itertools import product

import pytest
from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import escape

from mailer.jinja import compile_templates
from mailer.rendering import template_files
from schemas.errors import InvalidSettings, RenderFailed
from schemas.vocabulary import EventType, Language
from tests.builders import a_renderer

TEMPLATES = {name: text for name, text in template_files().items() if not name.endswith(".toml")}
RENDERER = a_renderer()
WORDS = {
    "language": "de",
    "platform": "P & Q",
    "heading": "<h1>",
    "event": '"event"',
    "call": "'call'",
    "tone": "negative",
    "meaning": "{{ meaning }}",
    "warning": "%(rule)s %s",
    "what_to_do": "ä < ö",
    "preview": "&amp;",
    "facts": (("<a>", "b & c"), ("%", "%(x)s")),
    "tenant": "T <b>",
    "rule": "R %(tenant)s",
    "portal_link": "https://portal.example/?a=1&b=2",
    "answers": "-- ",
}


def ordinary(language: Language, *, autoescape: bool) -> Environment:
    """Return the same templates as everybody would load them: gettext asked at each rendering."""
    texts: Mapping[str, str] = RENDERER.authors[language].labels.texts
    told = {name: str(escape(text)) if autoescape else text for name, text in texts.items()}
    environment = Environment(
        loader=DictLoader(TEMPLATES),
        autoescape=autoescape,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.install_gettext_callables(  # type: ignore[attr-defined]  # the extension adds it
        told.__getitem__, lambda one, many, n: one, newstyle=True
    )
    return environment


@pytest.mark.parametrize("changes", [{}, {"warning": "", "portal_link": ""}], ids=["all", "less"])
@pytest.mark.parametrize(
    ("event_type", "ending", "language"), [*product(EventType, ("html", "txt"), Language)]
)
def test_resolved_texts_give_what_gettext_at_run_time_gives(
    event_type: EventType, ending: str, language: Language, changes: dict[str, str]
) -> None:
    name, words = f"{event_type}.{ending}", WORDS | changes

    fast = RENDERER.authors[language].templates.fill_in(name, words)

    slow = ordinary(language, autoescape=ending == "html").get_template(name).render(words)
    assert fast == slow
    assert "T" in fast


def compiled(source: str, texts: Mapping[str, str], name: str = "t.html") -> str:
    words = {"word": "<w>"}
    return compile_templates({name: source}, texts, words).fill_in(name, words)


def test_texts_are_escaped_in_html_and_only_there() -> None:
    texts = {"hello": "A & B %(who)s"}

    assert compiled('{{ _("hello", who=word) }}', texts) == "A &amp; B &lt;w&gt;"
    assert compiled('{{ _("hello", who=word) }}', texts, "t.txt") == "A & B <w>"


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        pytest.param("{% if %}", "TemplateSyntaxError: line 1", id="syntax"),
        pytest.param("a\n{{ _('other') }}", "line 2: no text is named 'other'", id="unknown text"),
        pytest.param("{{ _(word) }}", "takes the name of a text", id="text by variable"),
        pytest.param("{{ _('hello') }}", "the text asks for ['who']", id="word not given"),
        pytest.param("{{ _('hello', x=word) }}", "asks for ['who']", id="other word"),
        pytest.param("{{ _('bye', who=word) }}", "the text asks for []", id="word not asked for"),
        pytest.param("{% set x = _('bye') %}{{ x }}", "in output only", id="text in a variable"),
        pytest.param("{{ _('bye') | upper }}", "in output only", id="text in a filter"),
        pytest.param("{{ wrod }}", "no such word: wrod", id="unknown word"),
        pytest.param(
            "{% if not word %}{{ wrod }}{% endif %}", "no such word: wrod", id="not tried"
        ),
        pytest.param("{{ word.upper.nothing }}", "UndefinedError", id="unknown attribute"),
        pytest.param("{{ word.__class__ }}", "SecurityError", id="sandbox"),
        pytest.param("{{ 1 / 0 }}", "ZeroDivisionError", id="any other error"),
        pytest.param("{% extends 'nowhere.html' %}", "TemplateNotFound", id="no such parent"),
    ],
)
def test_a_broken_template_stops_the_start(source: str, complaint: str) -> None:
    with pytest.raises(InvalidSettings) as caught:
        compiled(source, {"hello": "Hello %(who)s", "bye": "Bye"})

    (fault,) = caught.value.faults
    assert fault.startswith("mail template t.html: ")
    assert complaint in fault


def test_all_broken_templates_are_named_at_once() -> None:
    with pytest.raises(InvalidSettings) as caught:
        compile_templates({"a.html": "{{ x }}", "b.txt": "{% y %}", "c.txt": "fine"}, {}, {})

    assert [fault.split(":")[0] for fault in caught.value.faults] == [
        "mail template a.html",
        "mail template b.txt",
    ]


def test_a_failure_names_template_and_error_and_no_value() -> None:
    templates = compile_templates({"t.txt": "{{ 1 // word }}"}, {}, {"word": 1})

    with pytest.raises(RenderFailed, match=r"^t\.txt: ZeroDivisionError$"):
        templates.fill_in("t.txt", {"word": 0})
