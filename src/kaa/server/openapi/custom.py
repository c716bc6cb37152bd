"""The schema of a custom kind as it is published: its own words, and what every object has whatever they say.

In v3 nearly everything of a definition's schema can be said. What v2 has no words for is left out, and with it, as in
the original, the fields of whatever is open or may be null: clients of v2 would refuse what they do not find there.
"""

from collections.abc import Mapping
from typing import Any

from kaa.kinds.custom.structural import EMBEDDED, INT_OR_STRING, PRESERVE

__all__ = ["published"]

Json = dict[str, Any]

#: What a definition may say and its published form does not.
_UNSAID = frozenset({"$schema", "externalDocs", "example", "id"})
_JUNCTIONS = ("allOf", "anyOf", "oneOf", "not")
_EITHER = [{"type": "integer"}, {"type": "string"}]


def published(raw: Json | None, of_objects: Mapping[str, Json], *, v3: bool) -> Json:
    """The definition of a kind with this schema. `of_objects` are apiVersion, kind and metadata."""
    if not raw or (not v3 and raw.get(PRESERVE)):
        # Nothing more: clients would take the few fields named here for all there are.
        return {"type": "object"}
    made = _node(raw, of_objects, v3)
    made["properties"] = dict(sorted({**made.get("properties", {}), **of_objects}.items()))
    return {"type": "object", **made}


def _node(raw: Json, of_objects: Mapping[str, Json], v3: bool) -> Json:
    made = {name: value for name, value in raw.items() if name not in _UNSAID and value is not None}
    if v3:
        _unfold(made)
    else:
        _without_words(made)
    if isinstance(made.get("items"), dict):
        made["items"] = _node(made["items"], of_objects, v3)
    if isinstance(made.get("additionalProperties"), dict):
        made["additionalProperties"] = _node(made["additionalProperties"], of_objects, v3)
    if made.get("properties"):
        made["properties"] = {name: _node(each, of_objects, v3) for name, each in sorted(made["properties"].items())}
    if made.get(EMBEDDED) and (v3 or not made.get(PRESERVE)):
        made["properties"] = dict(sorted({**made.get("properties", {}), **of_objects}.items()))
        wanted = list(made.get("required") or ())
        made["required"] = [*wanted, *(name for name in ("kind", "apiVersion") if name not in wanted)]
    return made


def _unfold(made: Json) -> None:
    """Say of what is an integer or a string that it is either, unless it is said."""
    if not made.get(INT_OR_STRING) or made.get("anyOf") == _EITHER:
        return
    if any(each.get("anyOf") == _EITHER for each in (made.get("allOf") or ())[:1]):
        return
    if made.get("anyOf"):
        made["allOf"] = [{"anyOf": list(_EITHER)}, *(made.get("allOf") or ())]
    else:
        made["anyOf"] = list(_EITHER)


def _without_words(made: Json) -> None:
    """Leave out what v2 cannot say, and what its clients cannot cope with."""
    for word in _JUNCTIONS:
        made.pop(word, None)
    if made.pop("nullable", False):
        for word in ("type", "items", "properties"):
            made.pop(word, None)
    if made.get(PRESERVE):
        made.pop("items", None)
        made.pop("properties", None)
    if made.get("type") == "array" and not made.get("items"):
        made.pop("type")
    additional = made.get("additionalProperties")
    if isinstance(additional, dict) and additional.get("nullable"):
        made.pop("required", None)
    elif made.get("required"):
        fields = made.get("properties") or {}
        made["required"] = [name for name in made["required"] if not (fields.get(name) or {}).get("nullable")]
        if not made["required"]:
            del made["required"]
