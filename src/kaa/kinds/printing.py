"""Cells of tables: ages, durations and small joins, as the original prints them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

__all__ = ["age", "human_duration", "joined", "seconds", "since"]

Json = dict[str, Any]


def human_duration(seconds: float) -> str:
    """`5s`, `3m20s`, `4h12m`, `3d4h`, `2y30d`: two units while they matter, then one."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 0:
        return "0s"
    if whole < 60 * 2:
        return f"{whole}s"
    minutes = whole // 60
    if minutes < 10:
        return f"{minutes}m{whole % 60}s" if whole % 60 else f"{minutes}m"
    if minutes < 60 * 3:
        return f"{minutes}m"
    hours = whole // 3600
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if hours < 24 * 8:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    if hours < 24 * 365 * 2:
        return f"{days}d"
    years = days // 365
    if hours < 24 * 365 * 8:
        return f"{years}y{days % 365}d" if days % 365 else f"{years}y"
    return f"{years}y"


def since(timestamp: str | None, now: float) -> str:
    """How long ago a time was; `<unknown>` where there is none."""
    if not timestamp:
        return "<unknown>"
    try:
        return human_duration(now - seconds(timestamp))
    except ValueError:
        return "<unknown>"


def seconds(timestamp: str) -> float:
    """A time of the API as seconds since the epoch. Raises ValueError."""
    return datetime.fromisoformat(timestamp.replace("Z", "+00:00")).timestamp()


def age(obj: Json, now: float) -> str:
    """How long ago the object was created."""
    return since(obj.get("metadata", {}).get("creationTimestamp"), now)


def joined(values: list[str], nothing: str = "<none>") -> str:
    """`a,b`, or what is printed for nothing."""
    return ",".join(values) if values else nothing
