"""The official Python client: every class of it, every call it has for what is listed, and what it builds on top."""

import inspect
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client, config, dynamic, utils, watch
from kubernetes.client.exceptions import ApiException, NotFoundException
from kubernetes.leaderelection import electionconfig, leaderelection
from kubernetes.leaderelection.resourcelock.configmaplock import ConfigMapLock
from tests.server.live import LiveServer
from tests.server.test_operations import KINDS, REGISTRY

#: Clients are slow to start, or time has to pass: not in the quick part.
pytestmark = pytest.mark.slow

Json = dict[str, Any]
#: Groups, and versions of them, that have no stable API: refused by name in docs/conformance.md.
UNSTABLE = re.compile(r"V\d+(alpha|beta)\d+Api$")
#: What came with v1.37, which this release of the client is made for.
NEWER = {
    "CertificatesV1Api.list_cluster_trust_bundle", "CertificatesV1Api.list_namespaced_pod_certificate_request",
    "CertificatesV1Api.list_pod_certificate_request_for_all_namespaces", "LifecycleApi.get_api_group",
    "ResourceV1Api.list_device_taint_rule", "StoragemigrationV1Api.get_api_resources",
    "StoragemigrationV1Api.list_storage_version_migration",
}  # fmt: skip
ABSENT = ("InternalApiserverApi", "StoragemigrationApi", "CustomObjectsApi")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    live = LiveServer(tmp_path_factory.mktemp("python"))
    live.start()
    yield live
    live.stop()


@pytest.fixture(scope="module")
def api(server: LiveServer) -> Iterator[client.ApiClient]:
    made = config.new_client_from_config(str(server.kubeconfig))
    client.CoreV1Api(made).create_namespaced_service_account("default", {"metadata": {"name": "default"}})
    yield made
    made.close()


def classes() -> list[type]:
    return [
        made for name, made in inspect.getmembers(client, inspect.isclass)
        if name.endswith("Api") and not UNSTABLE.search(name) and name not in ABSENT
    ]  # fmt: skip


def test_every_list_of_every_class(api: client.ApiClient) -> None:
    """Each answer is decoded into the client's own models, which refuse what they do not expect."""
    called, missing = 0, set()
    for made in classes():
        calls = made(api)
        for name in dir(calls):
            if not name.startswith(("list_", "get_api_")) or name.endswith("_with_http_info"):
                continue
            method = getattr(calls, name)
            needed = ("default",) if "_namespaced_" in name else ()
            try:
                found = method(*needed)
            except NotFoundException:
                missing.add(f"{made.__name__}.{name}")
                continue
            assert found is not None, name
            called += 1
            if name.startswith("list_"):
                assert isinstance(found.items, list), name
                assert found.metadata.resource_version or name == "list_component_status", name
    assert missing <= NEWER and called > 120


def method_of(calls: Any, verb: str, kind: str, namespaced: bool) -> Any:
    snake = re.sub(r"(?<!^)(?=[A-Z][a-z])|(?<=[a-z0-9])(?=[A-Z])", "_", kind).lower()
    scope = "namespaced_" if namespaced else ""
    return getattr(calls, f"{verb}_{scope}{snake}")


def class_of(api_version: str) -> Any:
    group, _, version = api_version.rpartition("/")
    words = "Core" if not group else "".join(each.capitalize() for each in group.removesuffix(".k8s.io").split("."))
    return getattr(client, f"{words}{version.capitalize()}Api")


SINGLES = [each for each in sorted(KINDS.glob("*.yaml")) if each.stem not in ("namespace", "customresourcedefinition")]


@pytest.mark.parametrize("path", SINGLES, ids=lambda each: each.stem)
def test_the_typed_calls_of_every_kind(api: client.ApiClient, path: Path) -> None:
    """Created from a plain object, read into a model, which is sent back as it is: nothing of it may be lost."""
    obj = next(iter(yaml.safe_load_all(path.read_text())))
    spec = REGISTRY.by_kind(obj["apiVersion"], obj["kind"])
    assert spec is not None
    calls, namespaced = class_of(obj["apiVersion"])(api), spec.resource.namespaced
    kind, name = obj["kind"], obj["metadata"]["name"]
    where = ("default",) if namespaced else ()
    try:
        made = method_of(calls, "create", kind, namespaced)(*where, obj)
        assert made.metadata.uid and made.metadata.creation_timestamp
        read = method_of(calls, "read", kind, namespaced)(name, *where)
        assert read.metadata.uid == made.metadata.uid
        read.metadata.labels = {**(read.metadata.labels or {}), "python": "1"}
        replaced = method_of(calls, "replace", kind, namespaced)(name, *where, read)
        assert replaced.metadata.labels["python"] == "1"
        assert replaced.metadata.generation == made.metadata.generation, "the model lost or added something"
        patched = method_of(calls, "patch", kind, namespaced)(
            name, *where, {"metadata": {"annotations": {"python": "2"}}}, field_manager="python", dry_run="All"
        )
        assert patched.metadata.annotations["python"] == "2"
        listed = method_of(calls, "list", kind, namespaced)(*where, label_selector="python=1", limit=1)
        assert [each.metadata.name for each in listed.items] == [name]
        if "status" in spec.subresources:
            assert method_of(calls, "read", f"{kind}Status", namespaced)(name, *where).metadata.uid == made.metadata.uid
    finally:
        method_of(calls, "patch", kind, namespaced)(name, *where, {"metadata": {"finalizers": None}})
        method_of(calls, "delete", kind, namespaced)(
            name, *where, propagation_policy="Background", grace_period_seconds=0
        )
    with pytest.raises(ApiException) as absent:
        method_of(calls, "read", kind, namespaced)(name, *where)
    assert absent.value.status == 404


def test_custom_objects(api: client.ApiClient) -> None:
    client.ApiextensionsV1Api(api).create_custom_resource_definition({
        "metadata": {"name": "tins.example.com"}, "spec": {
            "group": "example.com", "scope": "Namespaced", "names": {"plural": "tins", "kind": "Tin"},
            "versions": [{"name": "v1", "served": True, "storage": True, "subresources": {"status": {}}, "schema": {
                "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}]}})  # fmt: skip
    calls, at = client.CustomObjectsApi(api), ("example.com", "v1", "default", "tins")
    body = {"apiVersion": "example.com/v1", "kind": "Tin", "metadata": {"name": "soup"}, "spec": {"size": 1}}
    assert calls.create_namespaced_custom_object(*at, body)["spec"] == {"size": 1}
    assert calls.patch_namespaced_custom_object(*at, "soup", {"spec": {"size": 2}})["spec"] == {"size": 2}
    calls.patch_namespaced_custom_object_status(*at, "soup", {"status": {"open": True}})
    found = calls.get_namespaced_custom_object(*at, "soup")
    assert found["status"] == {"open": True}
    assert len(calls.list_cluster_custom_object("example.com", "v1", "tins")["items"]) == 1
    found["spec"]["size"] = 3
    assert calls.replace_namespaced_custom_object(*at, "soup", found)["spec"]["size"] == 3
    calls.delete_collection_namespaced_custom_object(*at)
    assert calls.list_namespaced_custom_object(*at)["items"] == []
    client.ApiextensionsV1Api(api).delete_custom_resource_definition("tins.example.com")


def test_the_dynamic_client(api: client.ApiClient) -> None:
    found = dynamic.DynamicClient(api)
    maps = found.resources.get(api_version="v1", kind="ConfigMap")
    made = maps.create({"metadata": {"name": "d", "labels": {"dynamic": "1"}}, "data": {"a": "1"}}, namespace="default")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "d"}, "data": {"b": "2"}}
    applied = found.server_side_apply(maps, body=body, name="d", namespace="default", field_manager="dynamic")
    assert applied.data.to_dict() == {"a": "1", "b": "2"} and applied.metadata.uid == made.metadata.uid
    with pytest.raises(dynamic.exceptions.ConflictError):
        found.server_side_apply(
            maps, body={**body, "data": {"a": "9"}}, name="d", namespace="default", field_manager="dynamic"
        )
    events = [each["type"] for each in found.watch(maps, namespace="default", timeout=1, label_selector="dynamic")]
    assert events == ["ADDED"]
    maps.delete(namespace="default", label_selector="dynamic=1")
    with pytest.raises(dynamic.exceptions.NotFoundError):
        maps.get(name="d", namespace="default")
    [deployments] = found.resources.search(group="apps", api_version="v1", kind="Deployment")
    assert {"scale", "status"} <= set(deployments.subresources)


def test_manifests_of_several_documents(api: client.ApiClient, tmp_path: Path) -> None:
    """Files, directories, lists and Lists; and all that failed is told at once."""
    wanted = ("configmap", "deployment", "service", "role", "networkpolicy", "horizontalpodautoscaler")
    for name in wanted:
        (tmp_path / f"{name}.yaml").write_text((KINDS / f"{name}.yaml").read_text())
    made = utils.create_from_directory(api, str(tmp_path), namespace="default")
    assert len(made) == len(wanted)
    with pytest.raises(utils.FailToCreateError) as failed:
        utils.create_from_yaml(api, str(tmp_path / "deployment.yaml"), namespace="default")
    assert [each.reason for each in failed.value.api_exceptions] == ["Conflict"]
    items = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"of-list-{n}"}} for n in range(2)]
    listed = {"apiVersion": "v1", "kind": "ConfigMapList", "items": items}
    utils.create_from_dict(api, listed, namespace="default")
    assert client.CoreV1Api(api).read_namespaced_config_map("of-list-1", "default").metadata.uid


def test_a_watch_goes_on_from_where_it_was(api: client.ApiClient) -> None:
    """What informers are made of: a list, a watch from it with bookmarks, and another one when the first has ended."""
    core, seen = client.CoreV1Api(api), []
    core.create_namespaced_config_map("default", {"metadata": {"name": "w0", "labels": {"watched": "1"}}})
    listed = core.list_namespaced_config_map("default", label_selector="watched=1")
    revision = listed.metadata.resource_version
    options = {"label_selector": "watched=1", "allow_watch_bookmarks": True, "timeout_seconds": 1}
    for count in range(1, 4):
        core.create_namespaced_config_map("default", {"metadata": {"name": f"w{count}", "labels": {"watched": "1"}}})
        following = watch.Watch()
        for event in following.stream(core.list_namespaced_config_map, "default", resource_version=revision, **options):
            revision = event["object"].metadata.resource_version if event["type"] != "BOOKMARK" else revision
            if event["type"] != "BOOKMARK":
                seen.append((event["type"], event["object"].metadata.name))
                break
        following.stop()
    assert seen == [("ADDED", f"w{count}") for count in range(1, 4)]


def test_a_revision_of_long_ago_is_gone(api: client.ApiClient) -> None:
    core = client.CoreV1Api(api)
    with pytest.raises(ApiException) as ahead:
        core.list_namespaced_config_map("default", resource_version="99999999", _request_timeout=10)
    assert ahead.value.status == 504
    with pytest.raises(ApiException) as wrong:
        core.list_namespaced_config_map("default", resource_version="x")
    assert wrong.value.status == 400


class _Election(leaderelection.LeaderElection):
    """One that can be stopped: the client's own goes on for ever."""

    stopped = False

    def renew_loop(self, leading_failed: threading.Event | None = None) -> None:
        while not self.stopped and self.try_acquire_or_renew():
            time.sleep(0.1)


def test_leaders_are_elected(server: LiveServer) -> None:
    """Two candidates over a config map: one leads while it renews, then the other."""
    config.load_kube_config(str(server.kubeconfig))  # the lock makes a client of its own, from the defaults
    led: list[str] = []
    elections = {}

    def candidate(name: str) -> threading.Thread:
        lock = ConfigMapLock("leader", "default", name)
        settings = electionconfig.Config(
            lock, lease_duration=2, renew_deadline=1.5, retry_period=1,
            onstarted_leading=lambda: led.append(name), onstopped_leading=lambda: None,
        )  # fmt: skip
        elections[name] = _Election(settings)
        thread = threading.Thread(target=elections[name].run, name=name)
        thread.start()
        return thread

    try:
        first = candidate("first")
        deadline = time.monotonic() + 15
        while led != ["first"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        second = candidate("second")
        time.sleep(0.6)
        assert led == ["first"]
        elections["first"].stopped = True
        first.join(10)
        while led != ["first", "second"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        elections["second"].stopped = True
        second.join(10)
    finally:
        for each in elections.values():
            each.stopped = True
        client.Configuration.set_default(client.Configuration())
