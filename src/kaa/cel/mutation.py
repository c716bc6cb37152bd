"""What mutating policies make: `Object{spec: Object.spec{...}}` to be applied, and `JSONPatch{...}` operations."""

from typing import Any

from .errors import EvaluationError
from .types import DYN, STRING, Type, object_of
from .values import ObjectValue

__all__ = ["MUTATION_OBJECTS", "verify_object"]

#: Give these to an Environment as `objects`. Object's fields have no declared types (the original's neither); what an
#: expression made is checked by `verify_object`.
MUTATION_OBJECTS: dict[str, Type] = {
    "Object": Type("object", "Object", open=True),
    "JSONPatch": object_of("JSONPatch", {"op": STRING, "path": STRING, "from": STRING, "value": DYN}),
}


def verify_object(value: Any, path: str = "Object") -> None:
    """Each object's type name is the way to it from the root. Raises EvaluationError where one is not."""
    if isinstance(value, ObjectValue):
        if value.type_name != path:
            root = path.partition(".")[0]
            raise EvaluationError(
                f'unexpected type name "{value.type_name}", expected "{path}", which matches field name path from root '
                f"{root} type"
            )
        for name, item in value.items():
            verify_object(item, f"{path}.{name}")
    elif isinstance(value, list):
        for item in value:
            verify_object(item, path)
    elif isinstance(value, dict):
        for item in value.values():
            verify_object(item, path)
