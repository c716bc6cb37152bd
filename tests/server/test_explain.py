"""kubectl, the oldest and today's, on what the server tells of itself: resources, explanations, validation."""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.server.live import Kubectl, LiveServer

#: Clients are slow to start, or time has to pass: not in the quick part.
pytestmark = pytest.mark.slow

FOUND = {
    "1.32": str(Path(sys.prefix) / "kubectl-1.32" / "kubectl"),
    "today": str(Path(sys.prefix) / "bin" / "kubectl"),
}
TOLD = {
    "io.k8s.api.core.v1.Pod": {"description": "A group of containers, told.", "properties": {}},
    "io.k8s.api.core.v1.PodSpec": {
        "description": "What a pod should be.",
        "properties": {"containers": {"description": "All that run in it."}, "nodeName": {"description": "Where."}},
    },
    "io.k8s.api.core.v1.Container": {
        "description": "One of them.",
        "properties": {"image": {"description": "Of what."}},
    },
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """With the package that has descriptions, as small as can be."""
    site = tmp_path_factory.mktemp("site")
    schemas = site / "kubernetes_validate" / "kubernetes-json-schema" / "v1.36.0-local"
    schemas.mkdir(parents=True)
    (site / "kubernetes_validate" / "__init__.py").write_text("")
    (schemas / "_definitions.json").write_text(json.dumps({"$defs": TOLD}))
    sys.path.insert(0, str(site))
    live = LiveServer(tmp_path_factory.mktemp("explain"))
    live.start()
    yield live
    live.stop()
    sys.path.remove(str(site))


@pytest.fixture(params=sorted(FOUND))
def k(request: pytest.FixtureRequest, server: LiveServer) -> Kubectl:
    kubectl = Kubectl(FOUND[request.param], server)
    name = f"t{time.monotonic_ns()}"
    kubectl.run("create", "namespace", name)
    kubectl.run("config", "set-context", "--current", f"--namespace={name}")
    return kubectl


def test_explain_tells_what_the_package_tells(k: Kubectl) -> None:
    told = k.run("explain", "pod.spec.containers")
    assert "FIELD: containers <[]Container>" in told
    assert "All that run in it." in told and "One of them." in told
    assert "  image\t<string>\n    Of what." in told
    assert "A group of containers, told." in k.run("explain", "pods")
    whole = k.run("explain", "pod.spec.containers", "--recursive")
    assert (
        "  resources\t<ResourceRequirements>\n    claims\t<[]ResourceClaim>\n      name\t<string> -required-\n" in whole
    )
    assert "    limits\t<map[string]Quantity>\n" in whole
    assert "port\t<IntOrString> -required-" in whole
    assert "creationTimestamp\t<string>" in k.run("explain", "pod.metadata")


def test_explain_of_the_older_document(k: Kubectl) -> None:
    """It comes as protobuf: the client asks for nothing else."""
    told = k.run("explain", "pod.spec", "--output=plaintext-openapiv2")
    assert "KIND:     Pod" in told and "What a pod should be." in told
    assert "containers\t<[]Object> -required-\n     All that run in it." in told
    whole = k.run("explain", "deployment.spec", "--output=plaintext-openapiv2", "--recursive")
    assert "maxUnavailable\t<string>" in whole


def test_explain_works_for_every_kind(k: Kubectl) -> None:
    rows = [line.split() for line in k.run("api-resources", "--no-headers").splitlines()]
    assert len(rows) > 60
    for row in rows:
        told = k.run("explain", row[0], f"--api-version={row[-3]}")
        assert f"KIND:       {row[-1]}\n" in told and "FIELDS:\n" in told, row


def test_what_is_served_at_a_glance(k: Kubectl) -> None:
    rows = [line.split() for line in k.run("api-resources", "-o", "wide").splitlines()]
    assert rows[0] == ["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND", "VERBS", "CATEGORIES"]
    assert [
        "pods",
        "po",
        "v1",
        "true",
        "Pod",
        "create,delete,deletecollection,get,list,patch,update,watch",
        "all",
    ] in rows
    assert ["deployments", "deploy", "apps/v1", "true", "Deployment",
            "create,delete,deletecollection,get,list,patch,update,watch", "all"] in rows  # fmt: skip
    assert ["bindings", "v1", "true", "Binding", "create"] in rows
    versions = k.run("api-versions").split()
    assert versions == sorted(versions) and {"v1", "apps/v1", "autoscaling/v1", "autoscaling/v2"} <= set(versions)
    # A short name finds the preferred group: events of the core.
    assert k.run("get", "ev") == "" and "No resources found" in k.errors
    assert "VERSION:    v2" in k.run("explain", "hpa")


MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: d}
spec:
  replicas: 1
  replicsa: 2
  selector: {matchLabels: {a: b}}
  template:
    metadata: {labels: {a: b}}
    spec: {containers: [{name: c, image: i, imagee: j}]}
"""


def test_kubectl_validates_by_what_the_server_says(k: Kubectl) -> None:
    k.run("create", "-f", "-", text=MANIFEST, code=1)
    assert 'strict decoding error: unknown field "spec.replicsa"' in k.errors
    assert 'unknown field "spec.template.spec.containers[0].imagee"' in k.errors
    assert k.run("create", "-f", "-", "--validate=warn", text=MANIFEST) == "deployment.apps/d created\n"
    assert 'Warning: unknown field "spec.replicsa"' in k.errors
    assert k.run("replace", "-f", "-", "--validate=ignore", text=MANIFEST) == "deployment.apps/d replaced\n"
    assert k.errors == ""
    # The client's own dry run reads the documents, and so do patches.
    another = MANIFEST.replace("name: d", "name: e")
    dry = k.run("create", "-f", "-", "--dry-run=server", "--validate=false", text=another)
    assert dry == "deployment.apps/e created (server dry run)\n"
    assert k.run("patch", "deployment", "d", "-p", '{"spec":{"replicas":3}}') == "deployment.apps/d patched\n"
