"""`push-services` as a bad deploy would be: one rule's mails, or every record, fail for it.

The product has no such fault to be had, so it is planted from outside, in a process of its own:
`python -m tests.campaigns.bad_deploy rule:r-1 run` or `… records run`.
"""

import sys
from typing import Any

from consumer import cli
from mailer.rendering import Renderer
from schemas.codec import Codec
from schemas.errors import RenderFailed


def spoil_rule(rule_id: str) -> None:
    """Let the mails of one rule fail."""
    sound = Renderer.render

    def render(self: Renderer, event: Any, wanted: Any, *rest: Any) -> Any:
        if wanted.rule.rule_id == rule_id:
            raise RenderFailed("planted")
        return sound(self, event, wanted, *rest)

    Renderer.render = render  # type: ignore[assignment, method-assign]  # planted


def spoil_records() -> None:
    """Let every record fail before it is read."""

    def peek(*_: Any) -> Any:
        raise ZeroDivisionError

    Codec.peek = peek  # type: ignore[assignment, method-assign]  # planted


def main() -> None:
    """Plant the fault that the first argument names and be the command that the others name."""
    kind, _, name = sys.argv.pop(1).partition(":")
    if kind == "rule":
        spoil_rule(name)
    else:
        spoil_records()
    cli.main()


if __name__ == "__main__":
    main()
