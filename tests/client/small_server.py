"""Just enough of an API server to show a client every way in which one can behave. Not for tests of rules: no kind is
validated and nothing is defaulted."""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson

from kaa.http.api import Answer, Request, Response, StreamingResponse, Writer
from kaa.meta import errors
from kaa.meta.resource import Resource

Json = dict[str, Any]
Entry = tuple[int, str, str, Json]  # revision, collection path without namespace, type, object


class SmallServer:
    """A `kaa.http` handler. The knobs are plain attributes."""

    def __init__(self, *, streams_lists: bool = True) -> None:
        self.revision = 100
        self.objects: dict[str, dict[str, Json]] = {}  # collection root -> key -> object
        self.history: list[Entry] = []
        self.floor = 0  # revisions up to here are compacted
        self.streams_lists = streams_lists
        self.requests: list[str] = []
        #: Answers instead of the server when it returns something.
        self.intercept: Callable[[Request], Answer | None] = lambda _request: None
        #: Acts, and then loses the answer, while it says so.
        self.lose_answer: Callable[[Request], bool] = lambda _request: False
        #: Watches see nothing while set.
        self.lagging = False
        self._writers: set[Writer] = set()
        self._changed = asyncio.Event()

    # --- for tests ---

    def put(self, resource: Resource, name: str, namespace: str = "", **fields: Any) -> Json:
        """Create or replace an object behind everybody's back."""
        held = self.objects.setdefault(_root(resource), {}).get(_key(namespace, name))
        metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
        metadata.update(fields.pop("metadata", {}))
        obj = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, **fields}
        metadata["uid"] = held["metadata"]["uid"] if held else f"uid-{self.revision + 1}"
        return self._store(_root(resource), "MODIFIED" if held else "ADDED", obj)

    def remove(self, resource: Resource, name: str, namespace: str = "") -> None:
        """Delete an object behind everybody's back."""
        obj = self.objects[_root(resource)].pop(_key(namespace, name))
        self._tell(_root(resource), "DELETED", obj)

    def names(self, resource: Resource) -> list[str]:
        return sorted(self.objects.get(_root(resource), {}))

    def compact(self) -> None:
        self.floor = self.revision
        self.history.clear()

    def cut_watches(self) -> None:
        for writer in list(self._writers):
            writer.abort()

    def catch_up(self) -> None:
        self.lagging = False
        self._notify()

    # --- the API ---

    def __call__(self, request: Request) -> Answer:
        self.requests.append(f"{request.method} {request.path}" + (f"?{request.query}" if request.query else ""))
        answer = self.intercept(request)
        if answer is not None:
            return answer
        try:
            answer = self._answer(request)
        except errors.StatusError as error:
            answer = Response(error.code, orjson.dumps(error.to_status()))
        if self.lose_answer(request):
            raise ConnectionAbortedError("lost on purpose")
        return answer

    def _answer(self, request: Request) -> Answer:
        root, namespace, name, subresource = _parse(request.path)
        if request.method == "GET" and request.param("watch") == "true":
            return self._watch(request, root, namespace)
        if request.method == "GET" and not name:
            return self._list(request, root, namespace)
        if request.method == "POST":
            return self._create(root, namespace, orjson.loads(request.body))
        held = self.objects.get(root, {}).get(_key(namespace, name))
        if held is None:
            raise errors.StatusError(404, "NotFound", f'{root.rpartition("/")[2]} "{name}" not found')
        if request.method == "GET":
            return _ok(held)
        if request.method == "DELETE":
            return self._delete(root, held, orjson.loads(request.body or b"{}"))
        body = orjson.loads(request.body)
        changed = body if request.method == "PUT" else _merge(held, body)
        asked = (body.get("metadata") or {}).get("resourceVersion")
        if asked and asked != held["metadata"]["resourceVersion"]:
            raise errors.StatusError(409, "Conflict", "the object has been modified; please apply your changes")
        if subresource == "status":
            changed = {**held, "status": changed.get("status")}
        changed["metadata"] = {**changed["metadata"], "uid": held["metadata"]["uid"]}
        stripped = {**changed, "metadata": {**changed["metadata"], "resourceVersion": ""}}
        if stripped == {**held, "metadata": {**held["metadata"], "resourceVersion": ""}}:
            return _ok(held)
        if changed["metadata"].get("deletionTimestamp") and not changed["metadata"].get("finalizers"):
            del self.objects[root][_key(namespace, name)]
            return _ok(self._tell(root, "DELETED", changed))
        return _ok(self._store(root, "MODIFIED", changed))

    def _create(self, root: str, namespace: str, obj: Json) -> Answer:
        metadata = obj["metadata"]
        if not metadata.get("name"):
            metadata["name"] = f"{metadata['generateName']}{self.revision + 1}"
        if namespace:
            metadata["namespace"] = namespace
        if _key(namespace, metadata["name"]) in self.objects.get(root, {}):
            raise errors.StatusError(409, "AlreadyExists", f'"{metadata["name"]}" already exists')
        metadata["uid"] = f"uid-{self.revision + 1}"
        return _ok(self._store(root, "ADDED", obj), 201)

    def _delete(self, root: str, held: Json, options: Json) -> Answer:
        metadata = held["metadata"]
        uid = (options.get("preconditions") or {}).get("uid")
        if uid and uid != metadata["uid"]:
            raise errors.StatusError(409, "Conflict", "the UID in the precondition does not match")
        if metadata.get("finalizers"):
            marked = {**held, "metadata": {**metadata, "deletionTimestamp": "2026-01-01T00:00:00Z"}}
            return _ok(self._store(root, "MODIFIED", marked))
        del self.objects[root][_key(metadata.get("namespace", ""), metadata["name"])]
        self._tell(root, "DELETED", held)
        return _ok({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"})

    def _list(self, request: Request, root: str, namespace: str) -> Answer:
        items = [o for o in self.objects.get(root, {}).values() if namespace in ("", o["metadata"].get("namespace"))]
        start, limit = int(request.param("continue") or 0), int(request.param("limit") or 0)
        if request.param("continue") and self.floor >= self.revision:
            raise errors.expired("the continue token is too old")
        page = items[start : start + limit] if limit else items
        metadata: Json = {"resourceVersion": str(self.revision)}
        if limit and start + limit < len(items):
            metadata["continue"] = str(start + limit)
        return _ok({"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": page})

    def _watch(self, request: Request, root: str, namespace: str) -> Answer:
        initial = request.param("sendInitialEvents") == "true"
        if initial and not self.streams_lists:
            raise errors.StatusError(422, "Invalid", "sendInitialEvents is forbidden for watch")
        revision = int(request.param("resourceVersion") or 0)
        if revision < self.floor and not initial:
            raise errors.expired(f"too old resource version: {revision} ({self.floor})")

        async def run(writer: Writer) -> None:
            seen = revision
            self._writers.add(writer)
            try:
                if initial:
                    for obj in self.objects.get(root, {}).values():
                        if namespace in ("", obj["metadata"].get("namespace")):
                            writer.write(_line("ADDED", obj))
                    seen = self.revision
                    writer.write(_line("BOOKMARK", _bookmark(seen, end=True)))
                while not writer.closed.is_set():
                    changed = self._changed
                    if not self.lagging:
                        for at, where, kind, obj in self.history:
                            inside = where == root and namespace in ("", obj["metadata"].get("namespace"))
                            if at > seen and inside:
                                writer.write(_line(kind, obj))
                        seen = self.revision
                    closed = asyncio.ensure_future(writer.closed.wait())
                    waited = asyncio.ensure_future(changed.wait())
                    try:
                        await asyncio.wait({closed, waited}, return_when=asyncio.FIRST_COMPLETED)
                    finally:
                        closed.cancel()
                        waited.cancel()
            finally:
                self._writers.discard(writer)

        return StreamingResponse(run)

    def _store(self, root: str, kind: str, obj: Json) -> Json:
        obj = self._tell(root, kind, obj)
        metadata = obj["metadata"]
        self.objects.setdefault(root, {})[_key(metadata.get("namespace", ""), metadata["name"])] = obj
        return obj

    def _tell(self, root: str, kind: str, obj: Json) -> Json:
        self.revision += 1
        obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.revision)}}
        self.history.append((self.revision, root, kind, obj))
        self._notify()
        return obj

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _root(resource: Resource) -> str:
    return resource.path()


def _key(namespace: str, name: str) -> str:
    return f"{namespace}/{name}" if namespace else name


def _parse(path: str) -> tuple[str, str, str, str]:
    parts = path.strip("/").split("/")
    head, rest = (parts[:2], parts[2:]) if parts[0] == "api" else (parts[:3], parts[3:])
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    plural, name, subresource = (*rest, "", "")[:3]
    return "/" + "/".join([*head, plural]), namespace, name, subresource


def _merge(old: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    new = dict(old) if isinstance(old, dict) else {}
    for name, value in patch.items():
        if value is None:
            new.pop(name, None)
        else:
            new[name] = _merge(new.get(name), value)
    return new


def _line(kind: str, obj: Json) -> bytes:
    return orjson.dumps({"type": kind, "object": obj}) + b"\n"


def _bookmark(revision: int, *, end: bool) -> Json:
    annotations = {"k8s.io/initial-events-end": "true"} if end else {}
    return {"metadata": {"resourceVersion": str(revision), "creationTimestamp": None, "annotations": annotations}}


def _ok(obj: Json, status: int = 200) -> Response:
    return Response(status, orjson.dumps(obj))
