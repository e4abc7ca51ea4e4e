"""Label sets, their ids, and the postings by which a selector finds them without opening a file."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import re2

from pilothouse.core.labels import Matcher, MatchOp

Ids = np.ndarray[tuple[int], np.dtype[np.int32]]


class StreamIndex:
    """Every stream the store knows. Only ever grows; read from any thread, written from one."""

    def __init__(self) -> None:
        self._labels: list[dict[str, str]] = []
        self._ids: dict[tuple[tuple[str, str], ...], int] = {}
        self._postings: dict[str, dict[str, list[int]]] = {}

    def __len__(self) -> int:
        return len(self._labels)

    def find(self, labels: Mapping[str, str]) -> int | None:
        """The id of a label set, or None."""
        return self._ids.get(tuple(sorted(labels.items())))

    def add(self, labels: Mapping[str, str]) -> int:
        """The id of a label set, which is made where it is new."""
        key = tuple(sorted(labels.items()))
        known = self._ids.get(key)
        if known is not None:
            return known
        number = len(self._labels)
        self._labels.append(dict(key))
        for name, value in key:
            self._postings.setdefault(name, {}).setdefault(value, []).append(number)
        self._ids[key] = number
        return number

    def define(self, number: int, labels: Mapping[str, str]) -> None:
        """Say what stream `number` is, where it was made without its labels being known, or is the next."""
        if number == len(self._labels):
            self.add(labels)
            return
        if self._labels[number] == labels or self.find(labels) is not None:
            return
        for name, value in self._labels[number].items():
            self._postings[name][value].remove(number)
        del self._ids[tuple(sorted(self._labels[number].items()))]
        key = tuple(sorted(labels.items()))
        self._labels[number] = dict(key)
        for name, value in key:
            self._postings.setdefault(name, {}).setdefault(value, []).append(number)
        self._ids[key] = number

    def labels(self, number: int) -> dict[str, str]:
        """The labels of stream `number`. Not to be changed."""
        return self._labels[number]

    def defined_since(self, number: int) -> Iterator[tuple[int, dict[str, str]]]:
        """Ids and labels of the streams from `number` on."""
        yield from enumerate(self._labels[number:], number)

    def select(self, matchers: Sequence[Matcher]) -> Ids:
        """Sorted ids of the streams that all `matchers` match. A label that a stream lacks counts as empty."""
        chosen: Ids = np.arange(len(self._labels), dtype=np.int32)
        for matcher in matchers:
            if not len(chosen):
                break
            chosen = self._narrow(chosen, matcher)
        return chosen

    def _narrow(self, chosen: Ids, matcher: Matcher) -> Ids:
        postings = self._postings.get(matcher.name, {})
        if matcher.op is MatchOp.EQUAL and matcher.value:
            return np.intersect1d(chosen, np.array(postings.get(matcher.value, []), dtype=np.int32), assume_unique=True)
        values = list(postings.items())
        # Look for the side that does not hold the empty value: those streams are in the postings.
        matches_empty = accepts(matcher, "")
        wanted = [ids for value, ids in values if accepts(matcher, value) != matches_empty]
        listed = np.unique(np.fromiter((i for ids in wanted for i in list(ids)), dtype=np.int32))
        if matches_empty:
            return np.setdiff1d(chosen, listed, assume_unique=True)
        return np.intersect1d(chosen, listed, assume_unique=True)

    def label_names(self, ids: Iterable[int]) -> list[str]:
        """Sorted names of the labels that the streams `ids` have."""
        return sorted({name for number in ids for name in self._labels[number]})

    def label_values(self, name: str, ids: Iterable[int]) -> list[str]:
        """Sorted values of label `name` among the streams `ids`."""
        return sorted({value for number in ids if (value := self._labels[number].get(name))})


def accepts(matcher: Matcher, value: str) -> bool:
    """Whether `matcher` matches a label's value; regular expressions are RE2's and anchored at both ends."""
    match matcher.op:
        case MatchOp.EQUAL:
            return value == matcher.value
        case MatchOp.NOT_EQUAL:
            return value != matcher.value
        case MatchOp.REGEX:
            return re2.fullmatch(matcher.value, value) is not None
        case MatchOp.NOT_REGEX:
            return re2.fullmatch(matcher.value, value) is None
