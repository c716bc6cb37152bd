"""The types of what the expressions of webhooks and policies may mention, and of what they may answer.

Apart from `environments`, so that the engine is loaded when the first expression is. Source of the names and types: the
original's `plugin/cel/compile.go`.
"""

from kaa import cel

__all__ = ["ANSWERS", "NAMESPACE", "REQUEST"]

_KIND = cel.object_of(
    "kubernetes.GroupVersionKind", {"group": cel.STRING, "version": cel.STRING, "kind": cel.STRING}
)  # fmt: skip
_RESOURCE = cel.object_of(
    "kubernetes.GroupVersionResource", {"group": cel.STRING, "version": cel.STRING, "resource": cel.STRING}
)
_USER = cel.object_of("kubernetes.UserInfo", {
    "username": cel.STRING, "uid": cel.STRING, "groups": cel.list_of(cel.STRING),
    "extra": cel.map_of(cel.STRING, cel.list_of(cel.STRING)),
})  # fmt: skip
#: The variable `request`: an AdmissionRequest without its uid and objects.
REQUEST = cel.object_of("kubernetes.AdmissionRequest", {
    "kind": _KIND, "resource": _RESOURCE, "subResource": cel.STRING,
    "requestKind": _KIND, "requestResource": _RESOURCE, "requestSubResource": cel.STRING,
    "name": cel.STRING, "namespace": cel.STRING, "operation": cel.STRING, "userInfo": _USER, "dryRun": cel.BOOL,
    "options": cel.DYN,
})  # fmt: skip
_TEXTS = cel.map_of(cel.STRING, cel.STRING)
_CONDITION = cel.object_of("kubernetes.NamespaceCondition", {
    "status": cel.STRING, "type": cel.STRING, "lastTransitionTime": cel.TIMESTAMP, "message": cel.STRING,
    "reason": cel.STRING,
})  # fmt: skip
#: The variable `namespaceObject`: what of a namespace expressions may see.
NAMESPACE = cel.object_of("kubernetes.Namespace", {
    "metadata": cel.object_of("kubernetes.NamespaceMetadata", {
        "name": cel.STRING, "generateName": cel.STRING, "namespace": cel.STRING, "labels": _TEXTS,
        "annotations": _TEXTS, "UID": cel.Field(cel.STRING, "uid"), "creationTimestamp": cel.TIMESTAMP,
        "deletionGracePeriodSeconds": cel.INT, "deletionTimestamp": cel.TIMESTAMP, "generation": cel.INT,
        "resourceVersion": cel.STRING, "finalizers": cel.list_of(cel.STRING),
    }),
    "spec": cel.object_of("kubernetes.NamespaceSpec", {"finalizers": cel.list_of(cel.STRING)}),
    "status": cel.object_of("kubernetes.NamespaceStatus", {
        "conditions": cel.list_of(_CONDITION), "phase": cel.STRING}),
})  # fmt: skip

OBJECT = cel.MUTATION_OBJECTS["Object"]
#: What an expression may have to answer, by the word for it; none is anything at all.
ANSWERS: dict[str, tuple[cel.Type, ...]] = {
    "bool": (cel.BOOL,),
    "string": (cel.STRING,),
    "null": (cel.NULL,),
    "any": (),
    "apply": (OBJECT,),
    "jsonpatch": (cel.list_of(cel.MUTATION_OBJECTS["JSONPatch"]),),
}
