"""The labels of one line on its way through a pipeline, in three kinds: stream's, structured metadata, parsed."""

from collections.abc import Mapping

ERROR = "__error__"
DETAILS = "__error_details__"
PRESERVE = "__preserve_error__"
SUFFIX = "_extracted"
"""Put behind a parsed name that the stream or its metadata has already."""


class RowLabels:
    """Behaves as Loki's LabelsBuilder does. `wanted` names the labels that parsers need to find; None means all."""

    __slots__ = ("base", "details", "error", "gone", "metadata", "parsed", "seen", "wanted")

    def __init__(self, base: Mapping[str, str], metadata: dict[str, str], wanted: frozenset[str] | None = None) -> None:
        self.base = base
        self.metadata = metadata
        self.parsed: dict[str, str] = {}
        self.gone: set[str] = set()
        self.seen: set[str] = set()
        self.error = ""
        self.details = ""
        self.wanted = wanted

    def get(self, name: str) -> str | None:
        """A label's value whatever its kind; None where it is missing, or empty in the stream's labels."""
        value = self.metadata.get(name)
        if value is None:
            value = self.parsed.get(name)
        if value is None and name not in self.gone:
            value = self.base.get(name) or None
        return value

    def set(self, name: str, value: str) -> None:
        """A parsed label; it hides one of another kind."""
        self.metadata.pop(name, None)
        self.parsed[name] = value
        self.seen.add(name)

    def extract(self, name: str, value: str) -> None:
        """What a parser found: the first to find a name wins, and what nobody needs is left."""
        if name in self.base or name in self.metadata:
            name += SUFFIX
        if name not in self.seen and (self.wanted is None or name in self.wanted):
            self.set(name, value)

    def delete(self, name: str) -> None:
        """Remove a label of any kind."""
        self.metadata.pop(name, None)
        self.parsed.pop(name, None)
        self.gone.add(name)

    def fail(self, error: str, details: str) -> None:
        """Note that a stage could not do its work with this line."""
        self.error = error
        self.details = details
        if self.wanted is not None and ERROR in self.wanted:
            self.set(PRESERVE, "true")

    def satisfied(self) -> bool:
        """Whether all that is needed has been found, so that parsing may stop."""
        return self.wanted is not None and bool(self.wanted) and self.wanted <= self.seen

    def stream(self) -> dict[str, str]:
        """The stream's labels that are left."""
        if not (self.gone or self.metadata or self.parsed):
            return dict(self.base)
        return {
            name: value
            for name, value in self.base.items()
            if name not in self.gone and name not in self.metadata and name not in self.parsed
        }

    def found(self) -> dict[str, str]:
        """Parsed labels, with the error where there is one."""
        if not self.error and not self.details:
            return self.parsed
        out = dict(self.parsed)
        if self.error:
            out[ERROR] = self.error
        if self.details:
            out[DETAILS] = self.details
        return out

    def all(self) -> dict[str, str]:
        """Every label, of whatever kind."""
        return {**self.stream(), **self.metadata, **self.found()}
