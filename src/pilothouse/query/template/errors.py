class TemplateError(ValueError):
    """A template that can't be read, or that can't be applied to a line."""
