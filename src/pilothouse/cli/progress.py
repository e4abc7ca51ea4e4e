"""Progress bars for long work, on stderr."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[int, int], None]
"""Called with how much is done and how much there is."""


@contextmanager
def progress(title: str, *, hidden: bool) -> Iterator[Advance]:
    """A bar with time left, gone when the work is done; nothing at all where `hidden`."""
    if hidden:
        yield lambda _done, _total: None
        return
    from rich.console import Console  # noqa: PLC0415 - takes 50 ms
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
