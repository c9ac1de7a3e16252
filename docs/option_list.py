"""A directive that lists every field of a configuration: `{options} mtrl.agents.config.Config`."""

import importlib
import inspect
from collections.abc import Iterable

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList

from mtrl.cli.options import Option, sections
from mtrl.cli.train_help import shown


class OptionList(Directive):
    """A rubric for each section, and under it a line for each field: name, values, default, meaning."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """What stands in the directive's place."""
        module, _, name = self.arguments[0].rpartition(".")
        made: list[nodes.Node] = []
        for section in sections(getattr(importlib.import_module(module), name)):
            made += [nodes.rubric(text=section.key or "run"), self.text(section.doc), fields(self, section.options)]
            for choice in section.choices:
                made.append(self.text(f"`{choice.name}`: {choice.doc}"))
                if choice.options:
                    made.append(fields(self, choice.options))
        return made

    def text(self, markdown: str) -> nodes.Node:
        """A paragraph."""
        inside = nodes.container()
        self.state.nested_parse(StringList(markdown.split("\n")), 0, inside)
        return inside


def fields(directive: OptionList, options: Iterable[Option]) -> nodes.definition_list:
    """The fields of a section."""
    listed = nodes.definition_list()
    for option in options:
        term = nodes.term("", "", nodes.literal(text=option.key), nodes.inline(text=f"  {option.metavar}"))
        if option.default is not inspect.Parameter.empty:
            term += nodes.inline(text=f"  [{shown(option.default)}]")
        listed += nodes.definition_list_item("", term, nodes.definition("", directive.text(option.doc)))
    return listed
