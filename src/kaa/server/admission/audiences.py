"""For whom a node may have tokens of its pods' accounts: for those whom its pods name, and whom it was granted.

A kubelet that was taken over could otherwise show itself to any service that trusts the cluster's tokens.
"""

from collections.abc import Awaitable, Iterator
from typing import Any

from kaa.server.admission.api import Attributes, Authorizing
from kaa.server.admission.certificates import may
from kaa.server.admission.lookup import kind
from kaa.server.objects import Objects
from kaa.server.request import RequestInfo

__all__ = ["TokenAudiences"]

Json = dict[str, Any]
#: The verb with which a role grants nodes another audience; the audience is its resource.
VERB = "request-serviceaccounts-token-audience"


class TokenAudiences:
    """What the original calls ServiceAccountNodeAudienceRestriction."""

    def __init__(self, objects: Objects, authorize: Authorizing) -> None:
        self._objects, self._authorize = objects, authorize
        self._claims = kind(objects, "", "v1", "persistentvolumeclaims")
        self._volumes = kind(objects, "", "v1", "persistentvolumes")
        self._drivers = kind(objects, "storage.k8s.io", "v1", "csidrivers")

    def check(self, attributes: Attributes, pod: Json) -> Awaitable[None] | None:
        """Raise 403, at once or when the authorizer has been asked."""
        audiences = ((attributes.object or {}).get("spec") or {}).get("audiences") or [""]
        if len(audiences) > 1:
            raise attributes.forbidden("node may only request 0 or 1 audiences")
        if any(each == audiences[0] for each in self._named(pod)):
            return None
        return self._granted(attributes, audiences[0])

    async def _granted(self, attributes: Attributes, audience: str) -> None:
        info = RequestInfo(VERB, "", True, "", "v1", audience, "", attributes.namespace, attributes.name)
        if not await may(self._authorize, attributes.user, info):
            raise attributes.forbidden(
                f'audience "{audience}" not found in pod spec volume, {attributes.user.name} is not authorized to '
                "request tokens for this audience"
            )

    def _named(self, pod: Json) -> Iterator[str]:
        """The audiences of a pod's projected tokens, and those that drivers of its volumes want; "" is the server."""
        meta = pod["metadata"]
        for volume in pod["spec"].get("volumes") or ():
            for source in (volume.get("projected") or {}).get("sources") or ():
                if "serviceAccountToken" in source:
                    yield (source["serviceAccountToken"] or {}).get("audience") or ""
            if "csi" in volume:
                yield from self._of_driver((volume["csi"] or {}).get("driver", ""))
            claim = (volume.get("persistentVolumeClaim") or {}).get("claimName", "")
            if "ephemeral" in volume:
                claim = f"{meta['name']}-{volume['name']}"
            if claim:
                yield from self._of_claim(meta["namespace"], claim)

    def _of_claim(self, namespace: str, name: str) -> Iterator[str]:
        claim = self._objects.find(self._claims, namespace, name)
        bound = (claim.decode().get("spec") or {}).get("volumeName", "") if claim is not None else ""
        volume = self._objects.find(self._volumes, "", bound) if bound else None
        driver = ((volume.decode().get("spec") or {}).get("csi") or {}).get("driver") if volume is not None else None
        if driver:
            yield from self._of_driver(driver)

    def _of_driver(self, name: str) -> Iterator[str]:
        entry = self._objects.find(self._drivers, "", name)
        for each in (entry.decode().get("spec") or {}).get("tokenRequests") or () if entry is not None else ():
            yield each.get("audience") or ""
