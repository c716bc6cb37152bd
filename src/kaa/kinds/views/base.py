"""What every view has: metadata, its resource, and how wire names become attribute names."""

from functools import cache
from typing import Any, ClassVar, TypeVar

import msgspec

from kaa.meta.resource import Resource

__all__ = [
    "LabelSelectorView",
    "ObjectMeta",
    "OwnerReference",
    "Part",
    "View",
    "decoder",
    "metadata_view",
    "resource_of",
]

# Words that the API writes in capitals when they are not the first of a name.
_CAPITALS = {
    "ip": "IP", "ips": "IPs", "id": "ID", "cidr": "CIDR", "cidrs": "CIDRs", "pid": "PID", "ipc": "IPC",
    "uuid": "UUID", "uid": "UID", "os": "OS", "api": "API", "fqdn": "FQDN",
}  # fmt: skip


def wire_name(attribute: str) -> str:
    """`pod_ip` -> `podIP`, `api_version` -> `apiVersion`, `continue_` -> `continue`."""
    first, *rest = attribute.rstrip("_").split("_")
    return first + "".join(_CAPITALS.get(word, word.capitalize()) for word in rest)


class Part(msgspec.Struct, frozen=True, rename=wire_name, kw_only=True, gc=False):
    """A nested piece of an object. `gc=False`: these trees hold no cycles, and there are very many of them."""


class OwnerReference(Part, frozen=True):
    """Who an object belongs to."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool = False
    block_owner_deletion: bool = False


class ObjectMeta(Part, frozen=True):
    """The metadata of every object."""

    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: int | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    finalizers: tuple[str, ...] = ()
    owner_references: tuple[OwnerReference, ...] = ()


class LabelSelectorRequirement(Part, frozen=True):
    """One expression of a label selector."""

    key: str = ""
    operator: str = ""
    values: tuple[str, ...] = ()


class LabelSelectorView(Part, frozen=True):
    """A label selector as objects carry it; `kaa.meta.selectors.from_object` compiles one."""

    match_labels: dict[str, str] = {}
    match_expressions: tuple[LabelSelectorRequirement, ...] = ()


class View(msgspec.Struct, frozen=True, rename=wire_name, kw_only=True, gc=False):
    """An object of the API, read-only. Subclasses state their resource."""

    resource: ClassVar[Resource]
    #: Shows metadata alone, so clients ask for `PartialObjectMetadata`, which costs a server less.
    metadata_only: ClassVar[bool] = False
    metadata: ObjectMeta = ObjectMeta()

    @property
    def name(self) -> str:
        """`metadata.name`."""
        return self.metadata.name

    @property
    def namespace(self) -> str:
        """`metadata.namespace`; empty for what has none."""
        return self.metadata.namespace

    @property
    def uid(self) -> str:
        """`metadata.uid`."""
        return self.metadata.uid

    @property
    def labels(self) -> dict[str, str]:
        """`metadata.labels`."""
        return self.metadata.labels

    @property
    def annotations(self) -> dict[str, str]:
        """`metadata.annotations`."""
        return self.metadata.annotations

    @property
    def revision(self) -> int:
        """`metadata.resourceVersion` as the number it is in Kaa's own store; 0 when absent."""
        return int(self.metadata.resource_version or 0)

    @property
    def deleting(self) -> bool:
        """Deletion has begun: `metadata.deletionTimestamp` is set."""
        return self.metadata.deletion_timestamp is not None

    @property
    def key(self) -> str:
        """`namespace/name`, or `name` for what has no namespace."""
        meta = self.metadata
        return f"{meta.namespace}/{meta.name}" if meta.namespace else meta.name

    @property
    def controller(self) -> OwnerReference | None:
        """The owner that manages this object, if one does."""
        for owner in self.metadata.owner_references:
            if owner.controller:
                return owner
        return None


V = TypeVar("V", bound=View)


@cache
def metadata_view(resource: Resource) -> type[View]:
    """The view of the metadata of a resource that is known only at run time; the same one for the same names."""
    namespace = {"resource": resource, "metadata_only": True, "__doc__": f"The metadata of one {resource.qualified}."}
    made = msgspec.defstruct(
        f"{resource.kind}Metadata", [], bases=(View,), namespace=namespace, frozen=True, kw_only=True,
        module=__name__, gc=False,
    )  # fmt: skip
    assert issubclass(made, View)
    return made


@cache
def decoder(view: type[V]) -> msgspec.json.Decoder[V]:
    """The decoder of a view's wire bytes; one per view and process."""
    return msgspec.json.Decoder(view)


def resource_of(view: type[View]) -> Resource:
    """The resource a view shows."""
    return view.resource


Json = dict[str, Any]
