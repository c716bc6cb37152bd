"""What custom resources cost: from a definition to the first object, many definitions at once, writes beside a built-in
kind's. In this process, without TLS, on the memory store. Prints JSON.

python bench/customresources.py [DEFINITIONS]
"""

import asyncio
import gc
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from kaa.cluster.pki import Authority
from kaa.http.api import Peer
from kaa.http.inprocess import InProcess
from kaa.server.server import ApiServer, ServerSettings
from kaa.store.memory import MemoryStore

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WRITES = 2000
SPEC = {
    "type": "object",
    "required": ["size"],
    "properties": {
        "size": {"type": "integer", "minimum": 1},
        "color": {"type": "string", "enum": ["red", "green"], "default": "red"},
        "parts": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"type": "string"}, "count": {"type": "integer", "default": 1}},
            },
        },
    },
}


def definition(kind: str, group: str, rule: bool = False) -> dict[str, Any]:
    plural = kind.lower() + "s"
    spec: dict[str, Any] = dict(SPEC)
    if rule:
        spec["x-kubernetes-validations"] = [{"rule": "self.size < 1000", "message": "too big"}]
    schema = {"type": "object", "properties": {"spec": spec}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }


class Api:
    """Requests as an administrator, in this process."""

    def __init__(self, server: ApiServer, certificate: bytes) -> None:
        self.transport = InProcess(server.app, Peer("bench", certificate))

    async def ask(self, method: str, path: str, body: Any = None) -> int:
        raw = b"" if body is None else json.dumps(body).encode()
        fields = (("Content-Type", "application/json"),) if raw else ()
        reply = await self.transport.call(method, path, headers=fields, body=raw, timeout_seconds=30)
        return reply.status


async def usable(api: Api, kind: str, group: str) -> float:
    """Milliseconds from sending a definition until the first object of it is there."""
    path = f"/apis/{group}/v1/namespaces/default/{kind.lower()}s"
    body = {"apiVersion": f"{group}/v1", "kind": kind, "metadata": {"name": "first"}, "spec": {"size": 1}}
    start = time.perf_counter()
    assert await api.ask("POST", CRDS, definition(kind, group)) == 201
    while await api.ask("POST", path, body) != 201:
        await asyncio.sleep(0)
    return (time.perf_counter() - start) * 1e3


async def writes(api: Api, path: str, body: dict[str, Any]) -> float:
    """Objects created per second, one after the other."""
    start = time.perf_counter()
    for number in range(WRITES):
        assert await api.ask("POST", path, {**body, "metadata": {"name": f"o{number}"}}) == 201
    return WRITES / (time.perf_counter() - start)


def administrator() -> bytes:
    """A certificate of system:masters, as a listener would have checked it."""
    with tempfile.TemporaryDirectory() as directory:
        made = Authority(Path(directory), "ca", "bench").client("admin", ["system:masters"])
    return x509.load_pem_x509_certificate(made.certificate).public_bytes(serialization.Encoding.DER)


def resident_mb() -> float:
    gc.collect()
    return float(psutil.Process().memory_full_info().pss) / 1e6


async def measure(count: int, certificate: bytes) -> dict[str, Any]:
    store = MemoryStore()
    server = ApiServer(store, ServerSettings(secure_port=0))
    await server.start(listen=False)
    api = Api(server, certificate)
    tries = sorted([round(await usable(api, f"First{n}", "a.example.com"), 2) for n in range(7)])
    found: dict[str, Any] = {"usable_ms": tries[3]}
    assert await api.ask("POST", CRDS, definition("Ruled", "a.example.com", rule=True)) == 201
    await asyncio.sleep(0.1)
    body = {"apiVersion": "a.example.com/v1", "spec": {"size": 1, "parts": [{"name": "a"}, {"name": "b", "count": 2}]}}
    found["custom_creates_per_s"] = round(await writes(api, "/apis/a.example.com/v1/namespaces/default/first0s",
                                                       {**body, "kind": "First0"}))  # fmt: skip
    found["custom_creates_with_a_rule_per_s"] = round(
        await writes(api, "/apis/a.example.com/v1/namespaces/default/ruleds", {**body, "kind": "Ruled"}))  # fmt: skip
    found["config_map_creates_per_s"] = round(
        await writes(api, "/api/v1/namespaces/default/configmaps",
                     {"apiVersion": "v1", "kind": "ConfigMap", "data": {"size": "1", "parts": "a,b"}}))  # fmt: skip
    before = resident_mb()
    steps = []
    for start in range(0, count, count // 5):
        begun = time.perf_counter()
        for number in range(start, start + count // 5):
            assert await api.ask("POST", CRDS, definition("Thing", f"g{number}.example.org")) == 201
        steps.append(round((time.perf_counter() - begun) * 1e3 / (count // 5), 2))
    while await api.ask("GET", f"/apis/g{count - 1}.example.org/v1/things") != 200:
        await asyncio.sleep(0.001)
    found["definitions"] = count
    found["definition_ms_by_fifths"] = steps  # no more for the last than for the first: nothing is quadratic
    found["definitions_mb"] = round(resident_mb() - before, 1)
    found["usable_ms_beside_them"] = round(await usable(api, "Late", "b.example.com"), 2)
    for path in ("/apis", "/openapi/v3", "/openapi/v2"):
        begun = time.perf_counter()
        assert await api.ask("GET", path) == 200
        found[f"{path} ms"] = round((time.perf_counter() - begun) * 1e3, 1)
    assert await api.ask("POST", CRDS, definition("Later", "b.example.com")) == 201
    await asyncio.sleep(0.05)
    for path in ("/apis", "/openapi/v3", "/openapi/v2"):
        begun = time.perf_counter()
        assert await api.ask("GET", path) == 200
        found[f"{path} ms after one more"] = round((time.perf_counter() - begun) * 1e3, 1)
    await api.transport.close()
    await server.stop()
    begun = time.perf_counter()
    again = ApiServer(store, ServerSettings(secure_port=0))
    await again.start(listen=False)
    found["start_ms_with_them"] = round((time.perf_counter() - begun) * 1e3)
    await again.stop()
    await store.close()
    return found


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 500, administrator())), indent=2))
