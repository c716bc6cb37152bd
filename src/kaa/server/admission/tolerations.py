"""Tolerations put together: what covers what. Pure."""

from collections.abc import Iterable
from typing import Any

__all__ = ["conflict", "covers", "merged"]

Json = dict[str, Any]


def covers(one: Json, other: Json) -> bool:
    """Whether everything that `other` tolerates, `one` tolerates too."""
    if one.get("key") and one.get("key") != other.get("key"):
        return False
    if one.get("effect") and one.get("effect") != other.get("effect"):
        return False
    if one.get("effect") == "NoExecute" and one.get("tolerationSeconds") is not None:
        theirs = other.get("tolerationSeconds")
        if theirs is None or one["tolerationSeconds"] < theirs:
            return False
    if one.get("operator") in (None, "", "Equal"):
        equal = other.get("operator") in (None, "", "Equal")
        return bool(one.get("key")) and equal and (one.get("value") or "") == (other.get("value") or "")
    return one.get("operator") == "Exists"


def merged(*lists: Iterable[Json]) -> list[Json]:
    """All of them, without those that another covers."""
    every = [each for some in lists for each in some]
    kept: list[Json] = []
    for at, each in enumerate(every):
        if any(covers(other, each) and not (covers(each, other) and number > at)
               for number, other in enumerate(every) if number != at):  # fmt: skip
            continue
        kept.append(each)
    return kept


def conflict(first: Iterable[Json], second: Iterable[Json]) -> bool:
    """Whether two lists say different things of the same taint."""
    seen = {(each.get("key"), each.get("effect")): each for each in first}
    return any((key := (each.get("key"), each.get("effect"))) in seen and not _same(seen[key], each) for each in second)


def _same(one: Json, other: Json) -> bool:
    def plain(each: Json) -> Json:
        return {**{name: value for name, value in each.items() if value not in (None, "")},
                "operator": each.get("operator") or "Equal"}  # fmt: skip

    return plain(one) == plain(other)
