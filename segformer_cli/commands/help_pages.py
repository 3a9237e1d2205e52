"""How a page of help looks: panels on a terminal, the same panels as plain sections elsewhere."""

from __future__ import annotations

import os
import sys
from typing import Any, Literal

from typer.core import TyperCommand, TyperGroup


def markup_mode() -> Literal["rich"] | None:
    """Rich pages where a terminal looks on; plain text in pipes, files and dumb terminals."""
    return "rich" if sys.stdout is not None and sys.stdout.isatty() and os.environ.get("TERM") != "dumb" else None


def epilog(*examples: str, note: str | None = None) -> str:
    """The end of a page: examples that can be copied, and perhaps a note."""
    # \b keeps click's plain pages from rewrapping the lines; rich pages do not rewrap them and would print it.
    keep = "" if markup_mode() else "\b\n"
    lines = keep + "Examples:\n" + "\n".join(f"  {example}" for example in examples)
    return f"{note}\n\n{lines}" if note else lines


class Page(TyperCommand):
    """A command whose plain help keeps its panels."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        _write_panels(self, ctx, formatter)


class Group(TyperGroup):
    """A group of commands whose plain help keeps its panels."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The group's options, its switches off rather than absent.

        For a value of None Typer loads pydantic to coerce it: half the start-up time of any page of help.
        """
        params = super().get_params(ctx)
        for param in params:
            if getattr(param, "is_bool_flag", False) and param.default is None:
                param.default = False
        return params

    def format_options(self, ctx: Any, formatter: Any) -> None:
        _write_panels(self, ctx, formatter)
        self.format_commands(ctx, formatter)


def _write_panels(command: TyperCommand | TyperGroup, ctx: Any, formatter: Any) -> None:
    panels: dict[str, list[tuple[str, str]]] = {}
    for param in command.get_params(ctx):
        record = param.get_help_record(ctx)
        if record is not None:
            default = "Arguments" if param.param_type_name == "argument" else "Options"
            panel = getattr(param, "rich_help_panel", None) or default
            panels.setdefault(panel, []).append(record)
    for name, records in panels.items():
        with formatter.section(name):
            formatter.write_dl(records)
