"""Reads tables of roles: text to rules."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

__all__ = ["RoleRow", "read_roles"]

Json = dict[str, Any]

READ = ("get", "list", "watch")
WRITE = ("create", "delete", "deletecollection", "patch", "update")
_WORDS = {"read": READ, "write": WRITE, "all": READ + WRITE, "readupdate": (*READ, "patch", "update")}


@dataclass
class RoleRow:
    """A role as its table states it."""

    name: str
    namespace: str = ""
    rules: list[Json] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    #: The label whose roles it gathers; "" for one with rules of its own.
    aggregates: str = ""


def read_roles(text: str) -> Iterator[RoleRow]:
    """Roles of a table. A line without indentation opens one: `[NAMESPACE/]NAME [+LABEL] [<LABEL]`."""
    row: RoleRow | None = None
    for line in text.replace(",\n        ", ",").splitlines():
        words = line.split("#")[0].split()
        if not words:
            continue
        if line[0] != " ":
            if row is not None:
                yield row
            namespace, _, name = words[0].rpartition("/")
            row = RoleRow(name, namespace)
            for word in words[1:]:
                label = f"rbac.authorization.k8s.io/aggregate-to-{word[1:]}"
                if word[0] == "+":
                    row.labels[label] = "true"
                else:
                    row.aggregates = label
        else:
            assert row is not None, line
            row.rules.append(_rule(words))
    if row is not None:
        yield row


def _rule(words: list[str]) -> Json:
    if words == ["events"]:
        words = ["create,patch,update", "-,events.k8s.io", "events"]
    verbs = sorted({verb for word in words[0].split(",") for verb in _WORDS.get(word, (word,))})
    if words[1].startswith("/") or len(words) == 2:
        return {"verbs": verbs, "nonResourceURLs": sorted(words[1].split(","))}
    rule: Json = {
        "verbs": verbs,
        "apiGroups": sorted("" if group == "-" else group for group in words[1].split(",")),
        "resources": sorted(words[2].split(",")),
    }
    if len(words) > 3:
        rule["resourceNames"] = sorted(words[3].split(","))
    return rule
