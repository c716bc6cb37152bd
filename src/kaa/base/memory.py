"""Garbage collection as a long-running process wants it: rare, and not of what was there from the start."""

import gc

__all__ = ["hold", "settle"]

#: A full collection walks every object that is not frozen; the first figure keeps the young generation's rare.
THRESHOLDS = (20_000, 20, 50)


def hold() -> None:
    """Collect nothing while everything is being loaded: what is made now stays."""
    gc.disable()


def settle() -> None:
    """Loading is over: what is there now is never looked at again, and the rest is, from time to time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    gc.enable()
