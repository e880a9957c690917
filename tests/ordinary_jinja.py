"""The templates as everybody would load them: ordinary Jinja, parents and macros resolved and texts
asked for at each rendering. What ours say is held to it, and their speed measured against it.

Without a sandbox, as everybody would use it, or, to tell what that costs, in the one of ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from jinja2 import DictLoader, Environment, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import escape

from mailer.sources import Sources, packaged_sources


@dataclass(frozen=True)
class OrdinaryTemplates:
    """Templates of one language; `fill_in` is that of `mailer.jinja.Templates`."""

    html: Environment
    txt: Environment

    def fill_in(self, name: str, words: Mapping[str, object]) -> str:
        environment = self.html if name.endswith(".html") else self.txt
        return environment.get_template(name).render(words)


def ordinary_templates(
    texts: Mapping[str, str], sources: Sources | None = None, *, sandboxed: bool = False
) -> OrdinaryTemplates:
    templates = (sources or packaged_sources()).templates
    escaped = {
        name: str(escape(text)).encode("ascii", "xmlcharrefreplace").decode("ascii")
        for name, text in texts.items()
    }
    kind = ImmutableSandboxedEnvironment if sandboxed else Environment
    return OrdinaryTemplates(
        _environment(kind, templates, escaped, autoescape=True),
        _environment(kind, templates, texts, autoescape=False),
    )


def _environment(
    kind: type[Environment],
    templates: Mapping[str, str],
    texts: Mapping[str, str],
    *,
    autoescape: bool,
) -> Environment:
    environment = kind(
        loader=DictLoader(templates),
        autoescape=autoescape,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.install_gettext_callables(  # type: ignore[attr-defined]  # the extension adds it
        texts.__getitem__, lambda one, many, n: one, newstyle=True
    )
    return environment
