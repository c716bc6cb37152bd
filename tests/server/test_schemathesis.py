"""What the OpenAPI documents promise, held against the server: requests made from the documents by schemathesis.

Whatever is sent, the server answers and never with 5xx; what it answers with 2xx is of the shape the document states.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from tests.server.samples import SAMPLES, path_of, sample
from tests.server.world import EXTENSIBLE, Api, World, running

#: Group versions, and how many requests are made of each operation.
GROUPS = [("api/v1", 4), ("apis/apps/v1", 5), ("apis/batch/v1", 5), ("apis/networking.k8s.io/v1", 4),
          ("apis/autoscaling/v2", 5), ("apis/rbac.authorization.k8s.io/v1", 4), ("apis/policy/v1", 5),
          ("apis/apiextensions.k8s.io/v1", 5), ("apis/admissionregistration.k8s.io/v1", 3),
          ("apis/authorization.k8s.io/v1", 5), ("apis/coordination.k8s.io/v1", 5)]  # fmt: skip


class Loop:
    """A server on a loop of its own: what schemathesis runs is not asynchronous."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner
        # What is created at random may be webhooks and policies, which would have their say.
        self._worlds: AsyncIterator[World] = running(disable_admission_plugins=EXTENSIBLE)
        self.world: World = runner.run(anext(self._worlds))
        self.api: Api = self.world.admin

    def ask(self, method: str, path: str, query: str = "", headers: list[tuple[str, str]] | None = None,
            body: bytes = b"") -> Any:  # fmt: skip
        """One request."""
        call = self.api.transport.call(method, path, query=query, headers=headers or [], body=body, timeout_seconds=20)
        return self._runner.run(call)

    def document(self, path: str) -> dict[str, Any]:
        """A document of the server's own."""
        found: dict[str, Any] = self._runner.run(self.api.get(f"/openapi/v3/{path}")).ok()
        return found

    def fill(self) -> None:
        """An object named "x" of every kind, so that there is something to get, change and delete."""
        for api_version, plural, kind, namespaced, content in SAMPLES:
            made = sample(api_version, kind, "x", content)
            self._runner.run(self.api.post(path_of(api_version, plural, namespaced), made))

    def close(self) -> None:
        """Stop the server."""
        self._runner.run(self._worlds.aclose())  # type: ignore[attr-defined]


@pytest.fixture
def loop() -> Iterator[Loop]:
    with asyncio.Runner() as runner:
        made = Loop(runner)
        yield made
        made.close()


def partial_of(one: Callable[[Any, Any], None], operation: Any) -> Callable[[Any], None]:
    """The check of one operation, as a function that takes the case alone."""

    def run(case: Any) -> None:
        one(operation, case)

    return run


def likely(case: Any, at: int) -> None:
    """Every other request is led to where something is: through, then, to the kind's own rules."""
    if at % 2:
        return
    case.path_parameters = {**(case.path_parameters or {}), "namespace": "default", "name": "x"}
    case.headers = {**(case.headers or {}), "Content-Type": "application/json"}
    if isinstance(case.body, dict) and "patch" not in (case.media_type or ""):
        case.body = {key: value for key, value in case.body.items() if key not in ("apiVersion", "kind")}
        name = "x" if "{name}" in case.path else f"made-{at}"
        case.body["metadata"] = {"name": name}


@pytest.mark.slow
@pytest.mark.parametrize(("group", "examples"), GROUPS, ids=[each[0] for each in GROUPS])
def test_the_server_keeps_what_its_documents_promise(loop: Loop, group: str, examples: int) -> None:
    loop.fill()
    schema = schemathesis.openapi.from_dict(loop.document(group))
    codes: dict[int, int] = {}
    made = 0

    def one(operation: Any, case: Any) -> None:
        nonlocal made
        made += 1
        likely(case, made)
        arguments = case.as_transport_kwargs(base_url="http://server")
        known = ("method", "url", "params", "headers", "json", "data")
        sent = requests.Request(**{name: value for name, value in arguments.items() if name in known}).prepare()
        path, _, query = sent.path_url.partition("?")
        if "watch=" in query:
            return  # a stream that nobody reads to its end
        body = sent.body.encode() if isinstance(sent.body, str) else sent.body or b""
        headers = [(name, value) for name, value in sent.headers.items() if name.lower() != "content-length"]
        reply = loop.ask(sent.method, path, query, headers, body)
        codes[reply.status] = codes.get(reply.status, 0) + 1
        assert reply.status < 500, (sent.method, sent.path_url, body[:2000], reply.body[:2000])
        if reply.status < 300:
            shown = {name: [value] for name, value in reply.headers.items()}
            operation.validate_response(
                schemathesis.Response(
                    status_code=reply.status, headers=shown, content=reply.body, request=sent, elapsed=0.1, verify=False
                )
            )

    for found in schema.get_all_operations():
        limits = settings(max_examples=examples, deadline=None, database=None, derandomize=True,
                          suppress_health_check=list(HealthCheck), phases=[Phase.generate])  # fmt: skip
        operation = found.ok()
        if operation.definition.raw.get("x-kubernetes-action") == "connect":
            continue  # leads to nodes, and there are none
        limits(given(case=operation.as_strategy())(partial_of(one, operation)))()
    # It went through to answers and to refusals, not only to the first check.
    assert sum(count for code, count in codes.items() if code < 300) >= 1, codes
    assert {400, 422} & set(codes), codes
