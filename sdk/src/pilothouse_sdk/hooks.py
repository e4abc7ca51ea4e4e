"""What the process itself does that logging has to know of: it ends, it forks, nobody caught an exception."""

import atexit
import logging
import os
import sys
import threading
from types import TracebackType

from pilothouse_sdk.delivery import Delivery

_log = logging.getLogger("uncaught")
_hooked = False
_current: Delivery | None = None


def watch(delivery: Delivery) -> None:
    """Let `delivery`, in place of the one before, know of the end, of forks and of uncaught exceptions."""
    global _current, _hooked  # noqa: PLW0603 - the hooks of a process are set once
    _current = delivery
    _watch_multiprocessing()
    if _hooked:
        return
    _hooked = True
    atexit.register(_end)
    os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)
    _watch_uncaught()


def current() -> Delivery | None:
    """The one that is set up."""
    return _current


def _end() -> None:
    if _current is not None:
        _current.settle()


def _before_fork() -> None:
    if _current is not None:
        _current.before_fork()


def _in_parent() -> None:
    if _current is not None:
        _current.after_fork_in_parent()


def _in_child() -> None:
    if _current is not None:
        _current.after_fork_in_child()
        _watch_multiprocessing()


def _watch_multiprocessing() -> None:
    """A child of multiprocessing ends by os._exit, after finalizers of its own; those set before its start are gone."""
    util = sys.modules.get("multiprocessing.util")
    if util is not None and _current is not None:
        util.register_after_fork(_current, _finalize)
        _finalize(_current)


def _finalize(delivery: Delivery) -> None:
    del delivery  # the one that is set up at the end counts
    # Last of all: what other finalizers log is written too.
    sys.modules["multiprocessing.util"].Finalize(None, _end, exitpriority=-100)


def _watch_uncaught() -> None:
    before, before_in_thread = sys.excepthook, threading.excepthook

    def uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not issubclass(kind, KeyboardInterrupt):
            _log.critical("uncaught exception", exc_info=(kind, error, trace))
        before(kind, error, trace)

    def uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
        # A thread that calls sys.exit just ends.
        if args.exc_value is not None and not issubclass(args.exc_type, SystemExit):
            name = args.thread.name if args.thread else "?"
            _log.critical("uncaught exception in thread %s", name, exc_info=args.exc_value)
        before_in_thread(args)

    sys.excepthook = uncaught
    threading.excepthook = uncaught_in_thread
