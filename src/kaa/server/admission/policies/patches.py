"""What a mutating expression answers, carried out: a configuration to be merged in, or operations of a JSON patch."""

from __future__ import annotations

from typing import Any

import orjson

from kaa import cel
from kaa.meta import merging, patch
from kaa.meta.schema import Schema
from kaa.meta.typed import UntypedError, misfits
from kaa.server.admission.expressions import Failed

__all__ = ["applied", "patched"]

Json = dict[str, Any]


def applied(obj: Json, answer: Any, schema: Schema) -> Json:
    """The object with an `Object{...}` merged in, as server-side apply merges. Raises Failed.

    Whole lists and structures that apply takes as one value cannot be set this way: what the expression does not
    mention in them would be lost.
    """
    try:
        cel.verify_object(answer)
        wanted = cel.to_json(answer)
    except cel.EvaluationError as error:
        raise Failed(f"type mismatch: {error}") from error
    assert type(wanted) is dict
    wanted = {**wanted, "kind": obj["kind"], "apiVersion": obj["apiVersion"]}
    if found := misfits(wanted, schema):
        told = found[0] if len(found) == 1 else "\n  ".join(["errors:", *found])
        raise Failed(f"error applying patch: failed to convert patch object to typed object: {told}")
    whole: list[str] = []
    _find_wholes(wanted, schema, "", whole)
    if whole:
        raise Failed(
            "error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: "
            + ", ".join(whole)
        )
    try:
        return merging.merge(obj, wanted, schema)
    except UntypedError as error:
        raise Failed(f"error applying patch: failed to merge patch: {error}") from error


def _find_wholes(value: Any, schema: Schema, path: str, found: list[str]) -> None:
    if type(value) is dict:
        # Where fields are not described, the value is one by nature, but nobody has said so.
        if schema.atomic_map:
            found.append(path)
        for name, each in value.items():
            child = schema.fields.get(name)
            if child is not None:  # the values of maps are not looked into, as in the original
                _find_wholes(each, child, f"{path}.{name}", found)
    elif type(value) is list:
        if not schema.associative:
            found.append(path)
        if schema.items is not None:
            for at, each in enumerate(value):
                _find_wholes(each, schema.items, f"{path}[{at}]", found)


def patched(obj: Json, answer: Any) -> Json | None:
    """The object after the operations; None where a `test` among them fails, and nothing is done. Raises Failed."""
    operations = []
    for each in answer:
        value = each.get("value") if isinstance(each, dict) else None
        if (name := getattr(value, "type_name", None)) is not None:
            try:
                cel.verify_object(value, name)
            except cel.EvaluationError as error:
                raise Failed(f"type mismatch: {error}") from error
        try:
            made = cel.to_json(each)
        except cel.EvaluationError as error:
            raise Failed(
                f"JSONPath valueExpression evaluated to a type that could not marshal to JSON: {error}"
            ) from error
        operation = {"op": made.get("op", ""), "path": made.get("path", "")}
        operation.update((field, made[field]) for field in ("from", "value") if field in made)
        operations.append(operation)
    try:
        return patch.json_patch(orjson.loads(orjson.dumps(obj)), operations)  # type: ignore[no-any-return]
    except patch.PatchTestFailed:
        return None
    except patch.PatchError as error:
        raise Failed(f"JSONPath: {error}") from error
