"""Two namespaces, an owner of one, and what stands in the other: the ground for attacks."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from tests.server.samples import SAMPLES, sample
from tests.server.world import Answered, Api, World, obj

from kaa.http.api import Peer
from kaa.http.inprocess import InProcess

Json = dict[str, Any]

RBAC = "/apis/rbac.authorization.k8s.io/v1"
GROUP = "rbac.authorization.k8s.io"
MINE, THEIRS = "/api/v1/namespaces/mine", "/api/v1/namespaces/theirs"
#: Stands in every object of the other namespace; nobody else may ever read it.
MARKER = "qzx-marker-of-theirs"
EVERYTHING = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
OPEN_SECONDS = 0.2


def rule(verbs: str, resources: str, groups: str = "", names: str = "") -> Json:
    """A rule, its parts separated by spaces; of no group: the core one."""
    made: Json = {"verbs": verbs.split(), "resources": resources.split(), "apiGroups": groups.split() or [""]}
    return {**made, "resourceNames": names.split()} if names else made


def user(name: str) -> Json:
    return {"kind": "User", "apiGroup": GROUP, "name": name}


def binding(name: str, role: str, subject: Json, kind: str = "Role") -> Json:
    """A RoleBinding."""
    reference = {"apiGroup": GROUP, "kind": kind, "name": role}
    return obj("RoleBinding", name, f"{GROUP}/v1", roleRef=reference, subjects=[subject])


async def grant(world: World, namespace: str, who: str, *rules: Json, name: str = "") -> Api:
    """A user with rules in a namespace ("": everywhere)."""
    admin, name = world.admin, name or f"of-{who}"
    if namespace:
        at = f"{RBAC}/namespaces/{namespace}"
        (await admin.post(f"{at}/roles", obj("Role", name, f"{GROUP}/v1", rules=list(rules)))).ok()
        (await admin.post(f"{at}/rolebindings", binding(name, name, user(who)))).ok()
    else:
        (await admin.post(f"{RBAC}/clusterroles", obj("ClusterRole", name, f"{GROUP}/v1", rules=list(rules)))).ok()
        bound = {**binding(name, name, user(who), "ClusterRole"), "kind": "ClusterRoleBinding"}
        (await admin.post(f"{RBAC}/clusterrolebindings", bound)).ok()
    return world.as_user(who)


async def namespaces(world: World, *names: str) -> None:
    """Namespaces with their default accounts."""
    for name in names:
        (await world.admin.post("/api/v1/namespaces", obj("Namespace", name))).ok()
        accounts = f"/api/v1/namespaces/{name}/serviceaccounts"
        (await world.admin.post(accounts, obj("ServiceAccount", "default"))).ok()


async def settle(world: World, namespace: str, *, mark: str = "") -> list[str]:
    """One object of each kind in a namespace, named `it`, with a mark where it can be read. Answers their paths."""
    paths = []
    for api_version, plural, kind, namespaced, content in SAMPLES:
        if not namespaced:
            continue
        made = sample(api_version, kind, "it", json.loads(json.dumps(content)))
        made["metadata"]["namespace"] = namespace
        if mark:
            made["metadata"].setdefault("annotations", {})["mark"] = mark
            made["metadata"]["labels"]["mark"] = mark
        root = f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"
        at = f"{root}/namespaces/{namespace}/{plural}"
        answered = await world.admin.post(at, made)
        assert answered.code in (201, 409), answered.body  # two versions of a kind are one object
        paths.append(f"{at}/it")
    return paths


async def peek(api: Api, method: str, path: str, body: Any = None, *, media: str = "application/json",
               headers: Mapping[str, str] | None = None, query: str = "") -> Answered:  # fmt: skip
    """One request; of an answer that goes on, as much as comes at once."""
    raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = [*(headers or {}).items(), *([("Content-Type", media)] if raw else [])]
    path, _, given = path.partition("?")
    query = "&".join(filter(None, (given, query)))
    reply = await api.transport.stream(method, path, query=query, headers=fields, body=raw)
    seen = b""
    try:
        async with asyncio.timeout(OPEN_SECONDS):
            async for chunk in reply.chunks():
                seen += chunk
    except TimeoutError:
        pass
    finally:
        await reply.aclose()
    return Answered(reply.status, reply.headers, seen)


def with_headers(world: World, api: Api, *fields: tuple[str, str]) -> Api:
    """The same peer, sending headers of its own with each request, as they stand: one may come twice."""
    transport = InProcess(world.server.app, api.transport._peer, headers=lambda: fields)
    world.opened.append(transport)
    return Api(transport)


def from_peer(world: World, der: bytes | None, *fields: tuple[str, str]) -> Api:
    """Somebody with a certificate (DER) and headers of their own."""
    transport = InProcess(world.server.app, Peer("10.1.2.3:4567", der), headers=lambda: fields)
    world.opened.append(transport)
    return Api(transport)
