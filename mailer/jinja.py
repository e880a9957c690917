"""The platform's templates: strict, escaping, sandboxed, one environment per language and form.

A template says a text of the language's own by `{{ _("name", word=word) }}`. These calls are
resolved when the template is compiled: its text becomes part of the template, which is what makes
a mail cheap (email.md, section 10), and a missing text stops the start instead of a mail. Parents
and macros are put in then, too (`flattening`). The rest are finished words; nobody but the platform
and its operator writes templates.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from jinja2 import Environment, StrictUndefined, Template, TemplateNotFound, meta, nodes
from jinja2.exceptions import TemplateAssertionError, TemplateError, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import escape

from mailer.flattening import Flattener
from mailer.labels import PLACEHOLDER
from schemas.errors import InvalidSettings, RenderFailed

#: What a template is given: finished text in flat names, and lists of it. No object of ours.
Words = Mapping[str, object]

_GETTEXT = "_"


@dataclass(frozen=True, slots=True)
class Templates:
    """Compiled templates of one language by file name; `.html` escapes all words it is given."""

    compiled: Mapping[str, Template]

    def fill_in(self, name: str, words: Words) -> str:
        """Return the filled-in template, or raise `RenderFailed` naming it and no word."""
        try:
            template = self.compiled[name]
            context = template.new_context(dict(words), shared=True)  # `render` without its copies
            return "".join(template.root_render_func(context))
        except Exception as error:  # a template may raise anything
            raise RenderFailed(f"{name}: {type(error).__name__}") from error


def compile_templates(
    sources: Mapping[str, str], texts: Mapping[str, str], trials: Sequence[Words]
) -> Templates:
    """Compile each template and fill it in, or raise `InvalidSettings` with every fault.

    `sources` are templates by file name, `texts` those of the language, and each of `trials` has
    every word that a template may ask for.
    """
    escaped = {name: _as_html(text) for name, text in texts.items()}
    kinds = {
        "html": _Kind.of(sources, escaped, autoescape=True),
        "txt": _Kind.of(sources, texts, autoescape=False),
    }
    compiled: dict[str, Template] = {}
    faults: list[str] = []
    for name in sorted(sources):
        try:
            compiled[name] = _compiled(kinds[name.rpartition(".")[2]], name, trials)
        except InvalidSettings as error:
            faults += error.faults
    if faults:
        raise InvalidSettings(faults)
    return Templates(compiled)


def escaped(value: object) -> str:
    """Return a value as HTML, as `markupsafe.escape` does, whose place it takes in templates.

    Theirs makes an object of each text that says it is escaped; the page it goes into needs none,
    and making it takes longer than escaping. Where Jinja should not find ours it escapes by theirs.
    """
    if type(value) is not str:  # what is escaped already, or refuses to be shown at all
        return escape(value)
    return (
        value.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace("'", "&#39;")
        .replace('"', "&#34;")
    )


def _as_html(text: str) -> str:
    """Return a text escaped, with references for what is not ASCII.

    A page of ASCII and Latin letters takes a byte a sign in memory, and is encoded at once.
    """
    return str(escape(text)).encode("ascii", "xmlcharrefreplace").decode("ascii")


@dataclass(frozen=True, slots=True)
class _Kind:
    """All that templates of one language and form are made with."""

    environment: Environment
    texts: Mapping[str, str]
    flattener: Flattener

    @classmethod
    def of(cls, sources: Mapping[str, str], texts: Mapping[str, str], *, autoescape: bool) -> Self:
        """Return what these templates are compiled with."""
        environment = _environment(autoescape=autoescape)

        def parse(name: str) -> nodes.Template:
            if name not in sources:
                raise TemplateNotFound(name)
            return environment.parse(sources[name], name)

        return cls(environment, texts, Flattener(parse))


def _compiled(kind: _Kind, name: str, trials: Sequence[Words]) -> Template:
    try:
        tree = kind.flattener.flattened(name)
        _resolve_texts(tree, kind.texts, name)
        _refuse_unknown_words(tree, trials[0], name)
        code = kind.environment.compile(tree, name, name)
        template = Template.from_code(kind.environment, code, {})
        template.root_render_func.__globals__["escape"] = escaped
        for trial in trials:
            template.render(trial)
    except Exception as error:  # a template may raise anything
        raise InvalidSettings([f"mail template {name}: {_told(error)}"]) from error
    return template


def _environment(*, autoescape: bool) -> Environment:
    return ImmutableSandboxedEnvironment(
        autoescape=autoescape,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _resolve_texts(tree: nodes.Template, texts: Mapping[str, str], name: str) -> None:
    """Put the texts where the tree asks for them; anywhere but in output that is a fault."""
    for output in tree.find_all(nodes.Output):
        output.nodes = [piece for node in output.nodes for piece in _pieces(node, texts, name)]
    for asked in tree.find_all(nodes.Name):
        if asked.name == _GETTEXT:
            raise TemplateAssertionError("_() stands alone in output only", asked.lineno, name)


def _pieces(node: nodes.Expr, texts: Mapping[str, str], name: str) -> Iterator[nodes.Expr]:
    if not (isinstance(node, nodes.Call) and _is_gettext(node.node)):
        yield node
        return
    text = _text_of(node, texts, name)
    values = {pair.key: pair.value for pair in node.kwargs}
    parts = PLACEHOLDER.split(text)
    if set(parts[1::2]) != set(values):
        raise TemplateAssertionError(f"_(): the text asks for {parts[1::2]}", node.lineno, name)
    for at, part in enumerate(parts):
        if at % 2:
            yield values[part]  # an expression of the template's; escaped as any other
        elif part:
            yield nodes.TemplateData(part, lineno=node.lineno, environment=node.environment)


def _is_gettext(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Name) and node.name == _GETTEXT


def _text_of(call: nodes.Call, texts: Mapping[str, str], name: str) -> str:
    match call.args:
        case [nodes.Const(value=str() as key)] if key in texts:
            return texts[key]
        case [nodes.Const(value=key)]:
            raise TemplateAssertionError(f"no text is named {key!r}", call.lineno, name)
    raise TemplateAssertionError("_() takes the name of a text", call.lineno, name)


def _refuse_unknown_words(tree: nodes.Template, known: Collection[str], name: str) -> None:
    """Find also what only a branch not taken in the trial would ask for."""
    unknown = meta.find_undeclared_variables(tree).difference(known)
    if unknown:
        raise TemplateAssertionError(f"no such word: {', '.join(sorted(unknown))}", 1, name)


def _told(error: Exception) -> str:
    """Return what is wrong in one line; a template is ours, so its error holds nobody's words."""
    kind = type(error).__name__
    if isinstance(error, TemplateSyntaxError):  # assertions are of that kind, too
        return f"{kind}: line {error.lineno}: {error.message}"
    return f"{kind}: {error.message}" if isinstance(error, TemplateError) else kind
