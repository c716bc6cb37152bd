"""kubectl, as old and as new as we have it, against a listening server."""

import json
import stat
import time
from pathlib import Path

import pytest
from tests.server.live import Kubectl

#: Clients are slow to start, or time has to pass: not in the quick part.
pytestmark = pytest.mark.slow

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "nginx:1", ports: [{containerPort: 80}]}]}
"""
CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm}\ndata: {a: '1', b: '2'}\n"
POD = """
apiVersion: v1
kind: Pod
metadata: {name: p, labels: {app: p}}
spec: {containers: [{name: c, image: busybox}]}
"""


def test_what_the_cluster_is(k: Kubectl) -> None:
    assert "Server Version: v1.36" in k.run("version")
    assert "is running at https://127.0.0.1:" in k.run("cluster-info")
    resources = k.run("api-resources")
    assert "deployments" in resources and "deploy" in resources
    assert "pods" in k.run("api-resources", "--namespaced=true", "--verbs=list,watch", "-o", "name").split()
    assert {"v1", "apps/v1", "autoscaling/v2", "events.k8s.io/v1"} <= set(k.run("api-versions").split())
    assert k.run("get", "--raw", "/readyz") == "ok"


def test_explain(k: Kubectl) -> None:
    assert "KIND:       Deployment" in k.run("explain", "deployment")
    assert "maxUnavailable" in k.run("explain", "deployments.spec.strategy.rollingUpdate")
    assert "containers" in k.run("explain", "pod.spec", "--recursive")
    assert "scaleTargetRef" in k.run("explain", "hpa.spec", "--api-version=autoscaling/v2")


def test_create_get_and_delete(k: Kubectl) -> None:
    assert k.run("create", "-f", "-", text=CONFIG_MAP) == "configmap/cm created\n"
    assert "AlreadyExists" in (k.run("create", "-f", "-", text=CONFIG_MAP, code=1) or k.errors)
    assert k.run("create", "configmap", "lit", "--from-literal=x=y") == "configmap/lit created\n"
    assert k.run("create", "secret", "generic", "s", "--from-literal=x=y") == "secret/s created\n"
    assert k.run("create", "deployment", "d", "--image=nginx") == "deployment.apps/d created\n"
    assert k.run("create", "service", "clusterip", "svc", "--tcp=80") == "service/svc created\n"
    assert k.run("expose", "deployment", "d", "--port=81", "--name=ex") == "service/ex exposed\n"
    assert k.run("run", "r", "--image=busybox") == "pod/r created\n"
    lines = k.run("get", "configmap").splitlines()
    assert lines[0].split() == ["NAME", "DATA", "AGE"] and lines[1].split()[:2] == ["cm", "2"]
    assert "d       0/1     0" in k.run("get", "deploy") or "d      0/1     0" in k.run("get", "deploy")
    assert json.loads(k.run("get", "cm", "cm", "-o", "json"))["data"] == {"a": "1", "b": "2"}
    assert k.run("get", "cm", "cm", "-o", "jsonpath={.data.a}") == "1"
    assert "clusterIP: 10.96." in k.run("get", "svc", "svc", "-o", "yaml")
    assert k.run("get", "cm,secret", "-o", "name").split() == ["configmap/cm", "configmap/lit", "secret/s"]
    assert "NODE" in k.run("get", "pods", "-o", "wide")
    assert "deployment.apps/d" in k.run("get", "all")
    assert "pods" in (k.run("get", "pods", "none", code=1) or k.errors)
    assert "busybox" in k.run("describe", "pod", "r")
    assert "Replicas:" in k.run("describe", "deployment", "d")
    assert 'configmap "cm" deleted' in k.run("delete", "-f", "-", text=CONFIG_MAP)
    assert 'pod "r" deleted' in k.run("delete", "pod", "r", "--wait=true")
    assert "deleted" in k.run("delete", "secret,svc", "--all")
    assert k.run("get", "svc", "-o", "name") == ""
    k.run("delete", "deployment", "d", "--cascade=foreground", "--wait=false")
    assert k.run("get", "deployment", "d", "-o", "jsonpath={.metadata.finalizers}") == '["foregroundDeletion"]'
    k.run("patch", "deployment", "d", "--type=json", "-p", '[{"op":"remove","path":"/metadata/finalizers"}]')
    k.run("wait", "--for=delete", "deployment/d", "--timeout=10s")


def test_apply(k: Kubectl) -> None:
    assert k.run("apply", "-f", "-", text=DEPLOYMENT) == "deployment.apps/web created\n"
    assert k.run("apply", "-f", "-", text=DEPLOYMENT) == "deployment.apps/web unchanged\n"
    changed = DEPLOYMENT.replace("nginx:1", "nginx:2")
    assert "+        - image: nginx:2" in k.run("diff", "-f", "-", text=changed, code=1) or "nginx:2" in k.run(
        "diff", "-f", "-", text=changed, code=1
    )
    assert k.run("diff", "-f", "-", text=DEPLOYMENT) == ""
    assert (
        k.run("apply", "--dry-run=server", "-f", "-", text=changed)
        == "deployment.apps/web configured (server dry run)\n"
    )
    assert k.run("apply", "-f", "-", text=changed) == "deployment.apps/web configured\n"
    image = "jsonpath={.spec.template.spec.containers[0].image}"
    assert k.run("get", "deploy", "web", "-o", image) == "nginx:2"
    k.run("apply", "--validate=strict", "-f", "-", text=CONFIG_MAP + "bogus: 1\n", code=1)
    assert "bogus" in k.errors
    k.run("apply", "--validate=warn", "-f", "-", text=CONFIG_MAP + "bogus: 1\n")
    assert 'unknown field "bogus"' in k.errors
    k.run("apply", "-f", "-", text=POD + "---\n" + CONFIG_MAP)
    assert k.run("apply", "view-last-applied", "configmap", "cm").startswith("apiVersion: v1")
    gone = k.run("apply", "-f", "-", "--prune", "-l", "app=p", "--prune-allowlist=core/v1/ConfigMap", text=POD)
    assert "pod/p" in gone


def test_server_side_apply(k: Kubectl) -> None:
    assert k.run("apply", "--server-side", "-f", "-", text=CONFIG_MAP) == "configmap/cm serverside-applied\n"
    k.run("apply", "--server-side", "--field-manager=other", "-f", "-", text=CONFIG_MAP.replace("'1'", "'9'"), code=1)
    assert 'conflict with "kubectl": .data.a' in k.errors
    k.run(
        "apply",
        "--server-side",
        "--field-manager=other",
        "--force-conflicts",
        "-f",
        "-",
        text=CONFIG_MAP.replace("'1'", "'9'"),
    )
    assert k.run("get", "cm", "cm", "-o", "jsonpath={.data.a}") == "9"
    assert "manager: other" in k.run("get", "cm", "cm", "--show-managed-fields", "-o", "yaml")
    assert "serverside-applied" in k.run("apply", "--server-side", "-f", "-", text=DEPLOYMENT)
    assert k.run("diff", "--server-side", "-f", "-", text=DEPLOYMENT) == ""


def test_changes(k: Kubectl, tmp_path: Path) -> None:
    k.run("create", "-f", "-", text=DEPLOYMENT + "---\n" + CONFIG_MAP)
    assert k.run("label", "cm", "cm", "x=y") == "configmap/cm labeled\n"
    assert k.run("label", "cm", "cm", "x-") == "configmap/cm unlabeled\n"
    assert k.run("annotate", "cm", "cm", "note=hello") == "configmap/cm annotated\n"
    assert "patched" in k.run(
        "patch", "deploy", "web", "-p", '{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"i"}]}}}}'
    )
    assert "patched" in k.run("patch", "cm", "cm", "--type=merge", "-p", '{"data":{"c":"3"}}')
    assert "patched" in k.run("patch", "cm", "cm", "--type=json", "-p", '[{"op":"remove","path":"/data/c"}]')
    assert "no change" in k.run("patch", "cm", "cm", "--type=merge", "-p", '{"data":{"a":"1"}}')
    assert "patched" in k.run(
        "patch", "deploy", "web", "--subresource=status", "--type=merge", "-p", '{"status":{"replicas":1}}'
    )
    assert k.run("scale", "deploy", "web", "--replicas=5") == "deployment.apps/web scaled\n"
    assert k.run("get", "deploy", "web", "-o", "jsonpath={.spec.replicas}") == "5"
    assert k.run("set", "image", "deploy/web", "web=nginx:3") == "deployment.apps/web image updated\n"
    assert k.run("set", "env", "deploy/web", "A=B") == "deployment.apps/web env updated\n"
    assert k.run("autoscale", "deploy", "web", "--max=3").startswith("horizontalpodautoscaler.autoscaling/web")
    assert k.run("replace", "-f", "-", text=CONFIG_MAP.replace("'1'", "'7'")) == "configmap/cm replaced\n"
    assert k.run("get", "cm", "cm", "-o", "jsonpath={.data.a}") == "7"
    assert "replaced" in k.run("replace", "--force", "-f", "-", text=CONFIG_MAP)
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i \'s/a: .1.$/a: "42"/\' "$1"\n')
    editor.chmod(editor.stat().st_mode | stat.S_IEXEC)
    assert k.run("edit", "cm", "cm", EDITOR=str(editor)) == "configmap/cm edited\n"
    assert k.run("get", "cm", "cm", "-o", "jsonpath={.data.a}") == "42"
    assert k.run("rollout", "restart", "deploy", "web") == "deployment.apps/web restarted\n"
    assert k.run("rollout", "pause", "deploy", "web") == "deployment.apps/web paused\n"


def test_rollout_status_follows_the_status(k: Kubectl) -> None:
    k.run("create", "-f", "-", text=DEPLOYMENT)
    following = k.start("rollout", "status", "deploy/web", "--timeout=30s")
    try:
        status = {
            "observedGeneration": 1,
            "replicas": 2,
            "updatedReplicas": 2,
            "readyReplicas": 2,
            "availableReplicas": 2,
        }
        time.sleep(0.5)
        k.run("patch", "deploy", "web", "--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))
        out, errors = following.communicate(timeout=30)
    finally:
        following.kill()
    assert following.returncode == 0 and "successfully rolled out" in out, (out, errors)


def test_wait_and_watch(k: Kubectl) -> None:
    k.run("create", "-f", "-", text=POD)
    watching = k.start("get", "pods", "-w", "--output-watch-events")
    waiting = k.start("wait", "--for=condition=Ready", "pod/p", "--timeout=30s")
    try:
        time.sleep(0.7)
        ready = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
        k.run("patch", "pod", "p", "--subresource=status", "--type=merge", "-p", json.dumps(ready))
        out, errors = waiting.communicate(timeout=30)
        assert "pod/p condition met" in out, errors
        k.run("wait", "--for=jsonpath={.status.phase}=Running", "pod/p", "--timeout=5s")
        k.run("wait", "--for=condition=Never", "pod/p", "--timeout=1s", code=1)
        k.run("delete", "pod", "p", "--wait=true", "--timeout=20s")
        time.sleep(0.3)
    finally:
        waiting.kill()
        watching.terminate()
        out, _ = watching.communicate(timeout=10)
    kinds = [line.split()[0] for line in out.splitlines()]
    # A pod is marked before it goes, even one that nobody runs: the original shows it as Terminating too.
    assert kinds == ["EVENT", "ADDED", "MODIFIED", "MODIFIED", "DELETED"], out
    assert "Running" in out


def test_who_may(k: Kubectl) -> None:
    assert "kubernetes-admin" in k.run("auth", "whoami")
    assert k.run("auth", "can-i", "delete", "pods").strip() == "yes"
    assert "*.*" in k.run("auth", "can-i", "--list")
    token = k.run("create", "token", "default", "--duration=1h").strip()
    assert token.count(".") == 2
    # A certificate would count before the token, so a configuration without one.
    own = Path(k.environment["HOME"]) / "token-config"
    given = json.loads(k.run("config", "view", "--raw", "-o", "json"))
    given["users"] = [{"name": "admin", "user": {"token": token}}]
    own.write_text(json.dumps(given))
    assert k.run("auth", "can-i", "delete", "pods", code=1, KUBECONFIG=str(own)).strip() == "no"
    assert "system:serviceaccount" in k.run("auth", "whoami", KUBECONFIG=str(own))
    k.run("get", "pods", code=1, KUBECONFIG=str(own))
    assert 'is forbidden: User "system:serviceaccount' in k.errors
    k.run("create", "role", "r", "--verb=get,list", "--resource=pods")
    k.run(
        "create",
        "rolebinding",
        "r",
        "--role=r",
        f"--serviceaccount={given['contexts'][0]['context']['namespace']}:default",
    )
    k.run("get", "pods", KUBECONFIG=str(own))
    k.run("get", "pods", "--as=jane", code=1)
    assert 'User "jane" cannot list resource "pods"' in k.errors
    k.run(
        "auth",
        "reconcile",
        "-f",
        "-",
        text="apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: r, namespace: "
        + given["contexts"][0]["context"]["namespace"]
        + "}\n"
        "rules: [{apiGroups: [''], resources: [pods], verbs: [watch]}]\n",
    )


def test_events(k: Kubectl) -> None:
    k.run(
        "create",
        "-f",
        "-",
        text="""
apiVersion: v1
kind: Event
metadata: {name: e}
involvedObject: {kind: Pod, name: p, apiVersion: v1}
reason: Started
message: hello there
type: Normal
lastTimestamp: "2024-01-01T00:00:00Z"
""".replace(
            "apiVersion: v1}",
            "apiVersion: v1, namespace: "
            + json.loads(k.run("config", "view", "-o", "json"))["contexts"][0]["context"]["namespace"]
            + "}",
        ),
    )
    assert "hello there" in k.run("get", "events")
    assert "hello there" in k.run("events")
    assert "Started" in k.run("events", "--for=pod/p")


def test_large_lists_come_in_pages(k: Kubectl) -> None:
    many = "\n---\n".join(CONFIG_MAP.replace("name: cm", f"name: cm-{n}") for n in range(12))
    k.run("create", "-f", "-", text=many)
    assert len(k.run("get", "cm", "--chunk-size=5", "-o", "name").split()) == 12
    assert len(k.run("get", "cm", "--chunk-size=5", "--no-headers").splitlines()) == 12
