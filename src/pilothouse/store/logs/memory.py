"""Memory that is free goes back to the system: what a flush or a merge takes for a second is not held for good."""

import ctypes

import pyarrow as pa


def use_plain_allocator() -> None:
    """Let Arrow allocate as all else does. Its own allocator keeps a third more resident after bursts."""
    pa.set_memory_pool(pa.system_memory_pool())


def give_back() -> None:
    """Return free pages to the system (glibc; elsewhere nothing happens). Takes milliseconds: not on the loop."""
    pa.default_memory_pool().release_unused()
    if (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        trim(0)
