"""What it costs to find out who asks, and whether they may: microseconds of each way, and its share of a GET.

`python bench/identity.py` prints JSON. In this process, without a network: a GET of a pod through the whole handler is
the measure, and each part of it is timed by itself.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.server.world import ACCOUNTS, PODS, World, certificate_of, obj, pod, running

from kaa.http.api import Peer, Request
from kaa.server.request import User, parse

ROUNDS, REPEATS = 20_000, 5
RBAC = "/apis/rbac.authorization.k8s.io/v1"


def microseconds(work: Any) -> float:
    """The best of several runs, for one call."""
    best = float("inf")
    for _ in range(REPEATS):
        began = time.perf_counter()
        for _ in range(ROUNDS):
            work()
        best = min(best, time.perf_counter() - began)
    return round(best / ROUNDS * 1e6, 3)


async def token(world: World, path: str, **spec: Any) -> str:
    body = obj("TokenRequest", "", "authentication.k8s.io/v1", spec=spec)
    return str((await world.admin.post(f"{ACCOUNTS}/default/token", body)).ok(201)["status"]["token"])


async def measure(world: World) -> dict[str, Any]:
    group = "rbac.authorization.k8s.io"
    for number in range(200):  # roles and bindings of others
        made = obj("RoleBinding", f"other-{number}", f"{group}/v1",
                   subjects=[{"kind": "User", "apiGroup": group, "name": f"user-{number}"}],
                   roleRef={"apiGroup": group, "kind": "ClusterRole", "name": "view"})  # fmt: skip
        (await world.admin.post(f"{RBAC}/namespaces/default/rolebindings", made)).ok()
    subjects = [{"kind": "User", "apiGroup": group, "name": "jane"},
                {"kind": "ServiceAccount", "name": "default", "namespace": "default"}]  # fmt: skip
    binding = obj("RoleBinding", "jane", f"{group}/v1", subjects=subjects,
                  roleRef={"apiGroup": group, "kind": "ClusterRole", "name": "admin"})  # fmt: skip
    (await world.admin.post(f"{RBAC}/namespaces/default/rolebindings", binding)).ok()
    volumes = [{"name": f"v{n}", "secret": {"secretName": f"s{n}"}} for n in range(5)]
    for number in range(110):
        (await world.admin.post(PODS, pod(f"p{number}", nodeName="n1", volumes=volumes))).ok()
    bound = {"kind": "Pod", "apiVersion": "v1", "name": "p0"}
    raw, raw_bound = await token(world, PODS), await token(world, PODS, boundObjectRef=bound)
    path, app = f"{PODS}/p0", world.server.app
    agents = {"user-agent": "kubectl/v1.36.0", "accept": "application/json", "accept-encoding": "gzip", "host": "x"}

    def request(headers: dict[str, str], user: str = "", *groups: str) -> Request:
        peer = Peer("bench", certificate_of(user, groups)) if user else Peer("bench")
        return Request("GET", path, headers={**agents, **headers}, peer=peer)

    ways = {
        "certificate": request({}, "jane", "dev"),
        "account token": request({"authorization": f"Bearer {raw}"}),
        "account token bound to a pod": request({"authorization": f"Bearer {raw_bound}"}),
    }
    found: dict[str, Any] = {"authentication_us": {}, "authorization_us": {}, "get_us": {}, "share_of_get": {}}
    authenticate, authorize = world.server.authentication, world.server.authorization
    assert authenticate is not None
    assert authorize is not None
    for name, each in ways.items():
        found["authentication_us"][name] = microseconds(lambda each=each: authenticate(each))
        found["get_us"][name] = microseconds(lambda each=each: app(each))
    secret = parse(Request("GET", "/api/v1/namespaces/default/secrets/s3"))
    info = parse(request({}))
    users = {
        "admin of a namespace": (User("jane", ("dev", "system:authenticated")), info),
        "system:masters": (User("root", ("system:masters", "system:authenticated")), info),
        "refused": (User("nobody", ("system:authenticated",)), info),
        "node, pod of its own": (User("system:node:n1", ("system:nodes", "system:authenticated")), info),
        "node, secret of one of 110 pods": (User("system:node:n1", ("system:nodes", "system:authenticated")), secret),
    }
    for name, (user, asked) in users.items():
        found["authorization_us"][name] = microseconds(lambda user=user, asked=asked: authorize(user, asked))
    for name in ways:
        part = found["authentication_us"][name] + found["authorization_us"]["admin of a namespace"]
        found["share_of_get"][name] = round(part / found["get_us"][name], 3)
    return found


async def main() -> None:
    async for world in running():
        print(json.dumps(await measure(world), indent=2))


asyncio.run(main())
