"""Templates that are resolved and flat when compiled, against ordinary Jinja at run time."""

from collections.abc import Mapping
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markupsafe import Markup, escape

from mailer.contents import Words
from mailer.jinja import compile_templates, escaped
from mailer.sources import Sources
from schemas.errors import InvalidSettings, RenderFailed
from schemas.vocabulary import EventType, Language
from tests.builders import a_renderer
from tests.ordinary_jinja import ordinary_templates

RENDERER = a_renderer()
WORDS: Words = {
    "language": "de",
    "platform": "P & Q",
    "heading": "<h1>",
    "event": '"event"',
    "call": "'call'",
    "tone": "negative",
    "sentence": "<s>",
    "meaning": "{{ meaning }}",
    "warning": "%(rule)s %s",
    "what_to_do": "ä < ö",
    "preview": "&amp;",
    "level": "full",
    "reasons": [("<r>", "1 & 2"), ("'", '"')],
    "payments": [("</td>", "{% x %}")],
    "information": ["<!--", "-->"],
    "facts": [("<a>", "b & c"), ("%", "%(x)s")],
    "tenant": "T <b>",
    "rule": "R %(tenant)s",
    "portal_link": "https://portal.example/?a=1&b=2",
    "audience": "internal",
    "rules_link": "https://portal.example/rules?a&b",
    "own_link": "\ue000",
    "answers": "-- ",
    "company": "C <c>",
}
SHAPES: Mapping[str, Words] = {
    "all": WORDS,
    "external": {**WORDS, "audience": "external", "level": "standard", "tone": "positive"},
    "no way out": {**WORDS, "audience": "external", "own_link": "", "tone": "unclear"},
    "little": {
        **WORDS,
        "warning": "",
        "level": "minimal",
        "reasons": [],
        "payments": [],
        "information": [],
        "facts": [],
        "portal_link": "",
        "rules_link": "",
        "company": "",
    },
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("event_type", "ending", "language"), [*product(EventType, ("html", "txt"), Language)]
)
def test_flat_templates_say_what_ordinary_ones_do(
    event_type: EventType, ending: str, language: Language, shape: str
) -> None:
    author, name = RENDERER.authors[language], f"{event_type}.{ending}"

    fast = author.templates.fill_in(name, SHAPES[shape])

    assert fast == ordinary_templates(author.labels.texts).fill_in(name, SHAPES[shape])
    assert "T" in fast


def compiled(source: str, texts: Mapping[str, str], name: str = "t.html") -> str:
    words = {"word": "<w>"}
    return compile_templates({name: source}, texts, [words]).fill_in(name, words)


def test_texts_are_escaped_in_html_and_only_there() -> None:
    texts = {"hello": "A & B %(who)s"}

    assert compiled('{{ _("hello", who=word) }}', texts) == "A &amp; B &lt;w&gt;"
    assert compiled('{{ _("hello", who=word) }}', texts, "t.txt") == "A & B <w>"


@given(st.text(alphabet=st.sampled_from("&<>'\"a;#ä") | st.characters()))
@example("&lt; &amp;lt; '\"")
def test_a_text_is_escaped_as_markupsafe_does(text: str) -> None:
    assert escaped(text) == str(escape(text))
    assert type(escaped(text)) is str


@pytest.mark.parametrize("value", [Markup("<b>"), 7, Language.DE, None, ["<b>"]])
def test_what_is_no_text_is_left_to_markupsafe(value: object) -> None:
    assert escaped(value) == escape(value)


def test_templates_escape_by_the_faster_way() -> None:
    templates = compile_templates({"t.html": "{{ word }}"}, {}, [{"word": ""}])

    scope = templates.compiled["t.html"].root_render_func.__globals__

    assert scope["escape"] is escaped  # Jinja's name for it; under another one theirs is taken


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        pytest.param("{% if %}", "TemplateSyntaxError: line 1", id="syntax"),
        pytest.param("a\n{{ _('other') }}", "line 2: no text is named 'other'", id="unknown text"),
        pytest.param("{{ _(word) }}", "takes the name of a text", id="text by variable"),
        pytest.param("{{ _('hello') }}", "the text asks for ['who']", id="word not given"),
        pytest.param("{{ _('hello', x=word) }}", "asks for ['who']", id="other word"),
        pytest.param("{{ _('bye', who=word) }}", "the text asks for []", id="word not asked for"),
        pytest.param("{% if _('bye') %}x{% endif %}", "in output only", id="text in a condition"),
        pytest.param("{{ _('bye') | upper }}", "in output only", id="text in a filter"),
        pytest.param("{{ wrod }}", "no such word: wrod", id="unknown word"),
        pytest.param(
            "{% if not word %}{{ wrod }}{% endif %}", "no such word: wrod", id="not tried"
        ),
        pytest.param("{{ word.upper.nothing }}", "UndefinedError", id="unknown attribute"),
        pytest.param("{{ word.__class__ }}", "SecurityError", id="sandbox"),
        pytest.param("{{ 1 / 0 }}", "ZeroDivisionError", id="any other error"),
        pytest.param("{% extends 'nowhere.html' %}", "TemplateNotFound", id="no such parent"),
        pytest.param("{% extends 't.html' %}", "it extends itself", id="its own parent"),
        pytest.param("{% extends word %}", "by a plain text only", id="parent by variable"),
        pytest.param("{% set x = word %}{{ x }}", "only a plain text can be set", id="variable"),
        pytest.param(
            "{% if word %}{% set x = 'a' %}{% endif %}", "Assign cannot stand here", id="set inside"
        ),
        pytest.param("{% include 't.html' %}", "Include cannot stand here", id="include"),
        pytest.param("{% import 't.html' as t %}", "Import cannot stand here", id="import as"),
        pytest.param("{% from 'o.html' import x %}", "TemplateNotFound", id="import from nowhere"),
        pytest.param(
            "{% macro m(a) %}{{ a }}{% endmacro %}{{ m() }}", "m takes a", id="argument missing"
        ),
        pytest.param(
            "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}", "m takes a", id="one too many"
        ),
        pytest.param(
            "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "calls itself", id="macro in itself"
        ),
        pytest.param(
            "{% macro m(a) %}{% for x in 'ab' %}{{ a }}{% endfor %}{% endmacro %}"
            "{% for x in 'cd' %}{{ m(x) }}{% endfor %}",
            "m has a loop over a name that it is given",
            id="captured name",
        ),
        pytest.param(
            "{% macro m() %}x{% endmacro %}{{ m() | upper }}", "no such word: m", id="macro in use"
        ),
        pytest.param("{% block b %}{{ super() }}{% endblock %}", "word: super", id="super"),
    ],
)
def test_a_broken_template_stops_the_start(source: str, complaint: str) -> None:
    with pytest.raises(InvalidSettings) as caught:
        compiled(source, {"hello": "Hello %(who)s", "bye": "Bye"})

    (fault,) = caught.value.faults
    assert fault.startswith("mail template t.html: ")
    assert complaint in fault


FILES = {
    "base.txt": "{% from 'parts.txt' import twice, mark %}{{ mark }}{% block a %}A{{ word }}"
    "{% block b %}B{% endblock %}{% endblock %}{{ twice(word, end='!') }}"
    "{% block c %}{% endblock %}",
    "middle.txt": "{% extends 'base.txt' %}{% block b %}b{{ word }}{% endblock %}\n"
    "{% block c %}lost{% endblock %}",
    "leaf.txt": "{% from 'parts.txt' import twice %}{% extends 'middle.txt' %}"
    "{% block c %}{% if word %}{{ twice('x') }}{% elif not word %}y"
    "{% else %}z{% endif %}{% endblock %}",
    "parts.txt": "{% set mark = '<m>' %}{% macro once(text) %}{{ mark }}{{ text }}{% endmacro %}"
    "{% macro twice(text, end='.') %}{% for at in [1, 2] %}{{ once(text) }}{{ end }}{% endfor %}"
    "{% endmacro %}",
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("ending", ["txt", "html"])
def test_parents_blocks_macros_and_constants_say_what_ordinary_jinja_does(
    name: str, ending: str
) -> None:
    files = {
        file.replace("txt", ending): text.replace("txt", ending) for file, text in FILES.items()
    }
    words, name = {"word": "<w>"}, name.replace("txt", ending)

    flat = compile_templates(files, {}, [words]).fill_in(name, words)

    assert flat == ordinary_templates({}, Sources(files)).fill_in(name, words)


def test_a_child_whose_output_ordinary_jinja_would_drop_stops_the_start() -> None:
    files = {"t.txt": "{% block a %}{% endblock %}", "u.txt": "{% extends 't.txt' %}\n\nHello"}

    with pytest.raises(InvalidSettings, match=r"u\.txt: .* it stands outside of the"):
        compile_templates(files, {}, [{}])


def test_all_broken_templates_are_named_at_once() -> None:
    with pytest.raises(InvalidSettings) as caught:
        compile_templates({"a.html": "{{ x }}", "b.txt": "{% y %}", "c.txt": "fine"}, {}, [{}])

    assert [fault.split(":")[0] for fault in caught.value.faults] == [
        "mail template a.html",
        "mail template b.txt",
    ]


def test_a_failure_names_template_and_error_and_no_value() -> None:
    templates = compile_templates({"t.txt": "{{ 1 // word }}"}, {}, [{"word": 1}])

    with pytest.raises(RenderFailed, match=r"^t\.txt: ZeroDivisionError$"):
        templates.fill_in("t.txt", {"word": 0})
