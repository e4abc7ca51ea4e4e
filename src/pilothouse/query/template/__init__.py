"""Go's text/template as far as Loki's line_format and label_format use it: parser, renderer, functions."""

from pilothouse.query.template.errors import TemplateError
from pilothouse.query.template.parser import parse_template
from pilothouse.query.template.render import Template

__all__ = ["Template", "TemplateError", "parse_template"]
