"""What a type is called, and where its objects live in URLs."""

from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import quote

__all__ = ["Resource"]


@dataclass(frozen=True)
class Resource:
    """The names of one served type: `apps/v1 deployments, Deployment, namespaced`.

    Two resources are equal when group, version and plural are: the rest follows from them.
    """

    group: str
    version: str
    plural: str
    kind: str = field(compare=False)
    namespaced: bool = field(compare=False)
    singular: str = field(default="", compare=False)

    @cached_property
    def api_version(self) -> str:
        """`v1`, `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @cached_property
    def list_kind(self) -> str:
        """`PodList`."""
        return f"{self.kind}List"

    @cached_property
    def qualified(self) -> str:
        """`pods`, `deployments.apps`: how messages and RBAC-minded people name a resource without its version."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @cached_property
    def root(self) -> str:
        """`/api/v1`, `/apis/apps/v1`."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path of a collection, or of an object or its subresource.

        An empty namespace of a namespaced resource means all namespaces (lists and watches only).
        """
        parts = [self.root]
        if namespace and self.namespaced:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        if name:
            parts.append(quote(name, safe=""))
        if subresource:
            parts.append(subresource)
        return "/".join(parts)

    def __str__(self) -> str:
        return self.qualified
