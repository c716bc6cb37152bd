"""An example of every kind, through every way kubectl has with objects; and kubectl's own ways of making them.

Deletions do not wait: kubectl asks for one object after the other, five a second, before it believes they are gone.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.server.live import Kubectl, LiveServer

from kaa.kinds.registry import builtin

#: Clients are slow to start, or time has to pass: not in the quick part.
pytestmark = pytest.mark.slow

Json = dict[str, Any]
KINDS = Path(__file__).parents[2] / "examples" / "kinds"
FOUND = {
    "1.32": str(Path(sys.prefix) / "kubectl-1.32" / "kubectl"),
    "today": str(Path(sys.prefix) / "bin" / "kubectl"),
}
NO_FINALIZERS = ("--type=merge", "-p", '{"metadata":{"finalizers":null}}')


def documents(directory: Path = KINDS) -> list[Json]:
    return [each for file in sorted(directory.glob("*.yaml")) for each in yaml.safe_load_all(file.read_text())]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    live = LiveServer(tmp_path_factory.mktemp("examples"))
    live.start()
    yield live
    live.stop()


@pytest.fixture(params=sorted(FOUND))
def k(request: pytest.FixtureRequest, server: LiveServer) -> Kubectl:
    kubectl = Kubectl(FOUND[request.param], server)
    kubectl.run("create", "serviceaccount", "default", code=None)
    return kubectl


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """All examples but a namespace and a definition of a kind, which take their time to go."""
    shutil.copytree(KINDS, tmp_path / "kinds")
    for name in ("namespace", "customresourcedefinition"):
        (tmp_path / "kinds" / f"{name}.yaml").unlink()
    return tmp_path / "kinds"


@pytest.fixture
def made(k: Kubectl, files: Path) -> Iterator[Path]:
    """The examples, created; gone afterwards."""
    out = k.run("create", "-f", str(files))
    assert out.count(" created\n") == len(documents(files))
    yield files
    k.run("delete", "-f", str(files), "--wait=false", "--ignore-not-found")
    k.run("patch", "-f", str(files), *NO_FINALIZERS, code=None)


def test_there_is_one_of_every_kind() -> None:
    wanted = {
        (spec.api_version, spec.kind) for spec in builtin().all() if {"create", "get"} <= spec.verbs and not spec.custom
    }
    assert wanted - {(each["apiVersion"], each["kind"]) for each in documents()} == set()


def test_shown_in_every_form(k: Kubectl, made: Path) -> None:
    given = documents(made)
    names = k.run("get", "-f", str(made), "-o", "name").split()
    assert len(names) == len(given)
    for wide in ((), ("-o", "wide")):
        shown = k.run("get", "-f", str(made), *wide)
        # Events show what they are about instead of their names, unless all columns are asked for.
        missing = [name for name in names if name not in shown and not name.startswith("event")]
        assert missing == [] or wide == (), shown
        if wide:
            assert "event/shop-started" in shown
    read = yaml.safe_load(k.run("get", "-f", str(made), "-o", "yaml"))["items"]
    assert [(each["kind"], each["metadata"]["name"]) for each in read] == [
        (each["kind"], each["metadata"]["name"]) for each in given
    ]
    for each in read:
        assert each["metadata"]["uid"] and each["metadata"]["creationTimestamp"]
    shown = k.run("get", "all")
    for kind in ("pod/shop", "service/shop", "deployment.apps/web", "job.batch/report", "cronjob.batch/nightly"):
        assert kind in shown


def test_marked_and_replaced(k: Kubectl, made: Path) -> None:
    count = len(documents(made))
    assert k.run("label", "-f", str(made), "step=1").count(" labeled\n") == count
    assert k.run("annotate", "-f", str(made), "note=hello").count(" annotated\n") == count
    patch = '{"metadata":{"labels":{"step":"2"}}}'
    assert k.run("patch", "-f", str(made), "--type=merge", "-p", patch).count(" patched\n") == count
    assert k.run("get", "-f", str(made), "-o", "jsonpath={.items[*].metadata.labels.step}").split() == ["2"] * count
    # A pod and a job are what they are: the server filled in what a replacement would take away.
    for name in ("job.yaml", "pod.yaml"):
        k.run("replace", "-f", str(made / name), code=1)
        assert "field is immutable" in k.errors or "pod updates may not change fields other than" in k.errors
        (made / name).unlink()
    left = len(documents(made))
    assert k.run("replace", "-f", str(made), "--dry-run=server").count("replaced (server dry run)\n") == left
    assert k.run("replace", "-f", str(made)).count(" replaced\n") == left
    assert k.run("get", "-f", str(made), "-o", "jsonpath={.items[*].metadata.labels.step}").split() == []
    for name in ("job.yaml", "pod.yaml"):
        shutil.copy(KINDS / name, made / name)


def test_applied(k: Kubectl, made: Path) -> None:
    count = len(documents(made))
    k.run("apply", "-f", str(made))
    revisions = ("get", "-f", str(made), "-o", "jsonpath={.items[*].metadata.resourceVersion}")
    before = k.run(*revisions)
    # kubectl patches once more where a list has defaults it was not told of. Nothing is written for that.
    again = k.run("apply", "-f", str(made))
    assert again.count(" unchanged\n") + again.count(" configured\n") == count, again
    assert again.count(" unchanged\n") > 50
    assert k.run(*revisions) == before
    assert k.run("diff", "-f", str(made)) == ""
    assert k.run("apply", "-f", str(made), "--server-side", "--force-conflicts").count("serverside-applied\n") == count
    managers = k.run("get", "-f", str(made), "--show-managed-fields", "-o", "json")
    for each in json.loads(managers)["items"]:
        applied = [entry["manager"] for entry in each["metadata"]["managedFields"] if entry["operation"] == "Apply"]
        # Of a certificate request nothing can be applied: its spec stays as it was sent.
        assert "kubectl" in applied or each["kind"] == "CertificateSigningRequest", each["metadata"]["name"]
    config = made / "configmap.yaml"
    config.write_text(config.read_text().replace("log-level: info", "log-level: debug"))
    changed = k.run("diff", "-f", str(made), "--server-side", "--field-manager=kubectl", code=1)
    assert "-  log-level: info\n+  log-level: debug\n" in changed


@pytest.mark.parametrize(("cascade", "finalizer"), [("foreground", "foregroundDeletion"), ("orphan", "orphan")])
def test_deleted_with_what_depends_on_it(k: Kubectl, made: Path, cascade: str, finalizer: str) -> None:
    """Nobody collects garbage here: what is to wait for it waits, and says so."""
    k.run("delete", "-f", str(made), f"--cascade={cascade}", "--wait=false")
    (made / "event.yaml").unlink()  # nothing depends on events: they go at once
    for each in json.loads(k.run("get", "-f", str(made), "-o", "json"))["items"]:
        assert finalizer in each["metadata"]["finalizers"] and each["metadata"]["deletionTimestamp"]
    k.run("patch", "-f", str(made), *NO_FINALIZERS)
    assert k.run("get", "-f", str(made), "-o", "name", "--ignore-not-found") == ""


def test_deleted_and_made_anew(k: Kubectl, made: Path) -> None:
    count = len(documents(made))
    assert k.run("delete", "-f", str(made), "--dry-run=server").count("(server dry run)\n") == count
    before = k.run("get", "-f", str(made), "-o", "jsonpath={.items[*].metadata.uid}").split()
    assert len(before) == count
    forced = ("configmap", "deployment", "ingress", "role", "service", "storageclass", "lease")
    listed = [argument for name in forced for argument in ("-f", str(made / f"{name}.yaml"))]
    out = k.run("replace", "--force", *listed)
    assert out.count(" replaced\n") == sum(len(list(yaml.safe_load_all((made / f"{n}.yaml").open()))) for n in forced)
    after = k.run("get", "-f", str(made), "-o", "jsonpath={.items[*].metadata.uid}").split()
    assert len(set(before) - set(after)) == out.count(" replaced\n")
    k.run("delete", "-f", str(made), "--cascade=background", "--wait=false")
    k.run("patch", "-f", str(made), *NO_FINALIZERS, code=None)  # what protects itself by a finalizer
    assert k.run("get", "-f", str(made), "-o", "name", "--ignore-not-found") == ""
    assert k.run("create", "-f", str(made), "--dry-run=server").count("created (server dry run)\n") == count
    assert k.run("get", "-f", str(made), "-o", "name", "--ignore-not-found") == ""


def test_a_namespace(k: Kubectl) -> None:
    file = str(KINDS / "namespace.yaml")
    assert k.run("create", "-f", file) == "namespace/team-a created\n"
    assert k.run("apply", "-f", file).endswith(" configured\n")
    assert k.run("get", "-f", file, "--no-headers").split()[:2] == ["team-a", "Active"]
    k.run("delete", "-f", file, "--wait=false")
    assert k.run("get", "-f", file, "--no-headers").split()[:2] == ["team-a", "Terminating"]
    k.run("create", "configmap", "late", "-n", "team-a", code=1)
    assert "because it is being terminated" in k.errors
    found = json.loads(k.run("get", "-f", file, "-o", "json"))
    found["spec"]["finalizers"] = []
    k.run("replace", "--raw", "/api/v1/namespaces/team-a/finalize", "-f", "-", text=json.dumps(found))
    assert k.run("get", "namespace", "team-a", "--ignore-not-found") == ""


# -- kubectl's own ways

CREATED = """
namespace one
serviceaccount sa
clusterrole cr-1 --verb=get,list --resource=pods --resource-name=a
clusterrole cr-2 --verb=get --non-resource-url=/logs/*
clusterrole cr-3 --aggregation-rule=a=b
clusterrolebinding crb --clusterrole=cr-1 --user=u --group=g --serviceaccount=default:sa
configmap cm --from-literal=a=b --from-file=/etc/hostname
cronjob cj --image=busybox --schedule=*/1_*_*_*_* -- date
deployment d --image=nginx --replicas=2 --port=80
ingress i-1 --class=x --rule=foo.com/bar*=svc1:8080,tls=my-cert --annotation a=b
ingress i-2 --default-backend=svc:80 --rule=a.com/=svc:http
job j-1 --image=busybox -- date
job j-2 --from=cronjob/cj
poddisruptionbudget p-1 --selector=app=x --min-available=1
pdb p-2 --selector=app=x --max-unavailable=50%
priorityclass pc --value=1000 --description=x --preemption-policy=Never
quota q --hard=pods=2,services=3
role r --verb=get --resource=pods,deployments.apps/scale
rolebinding rb --role=r --serviceaccount=default:sa
secret generic s-1 --from-literal=a=b
secret docker-registry s-2 --docker-username=u --docker-password=p --docker-server=r.example.com
secret tls s-3 --cert=CERT --key=KEY
service clusterip v-1 --tcp=80:8080
service clusterip v-2 --clusterip=None
service nodeport v-3 --tcp=80
service loadbalancer v-4 --tcp=80
service externalname v-5 --external-name=e.example.com
"""


@pytest.fixture
def own(k: Kubectl, server: LiveServer, tmp_path: Path) -> Iterator[Kubectl]:
    """Everything `kubectl create` can make; gone afterwards."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "cert"), "-subj", "/CN=x", "-days", "3"],
        check=True, capture_output=True,
    )  # fmt: skip
    for line in CREATED.strip().splitlines():
        line = line.replace("CERT", str(tmp_path / "cert")).replace("KEY", str(tmp_path / "key"))
        arguments = [each.replace("_", " ") if each.startswith("--schedule") else each for each in line.split()]
        assert k.run("create", *arguments).endswith(" created\n"), line
    yield k
    gone = "sa,cm,cj,deploy,ing,job,pdb,quota,role,rolebinding,secret,svc,hpa,pod"
    k.run("delete", gone, "--all", "--wait=false", "--grace-period=0", "--force", code=None)
    k.run("delete", "clusterrole", "cr-1", "cr-2", "cr-3", "--wait=false")
    k.run("delete", "-f", str(KINDS / "clusterrole.yaml"), "--wait=false", "--ignore-not-found")
    k.run("delete", "clusterrolebinding/crb", "priorityclass/pc", "--wait=false")
    k.run("delete", "ns", "one", "--wait=false")
    k.run("delete", "csr,node", "--all", "--wait=false")
    found = json.loads(k.run("get", "namespace", "one", "-o", "json"))
    found["spec"]["finalizers"] = []
    k.run("replace", "--raw", "/api/v1/namespaces/one/finalize", "-f", "-", text=json.dumps(found))


def test_kubectl_makes_and_changes(own: Kubectl) -> None:
    k = own
    assert k.run("get", "secret", "-o", "custom-columns=:.metadata.name,:.type", "--no-headers").split() == [
        "s-1", "Opaque", "s-2", "kubernetes.io/dockerconfigjson", "s-3", "kubernetes.io/tls",
    ]  # fmt: skip
    assert k.run("get", "svc", "-o", "custom-columns=:.metadata.name,:.spec.type", "--no-headers").split()[-10:] == [
        "v-1", "ClusterIP", "v-2", "ClusterIP", "v-3", "NodePort", "v-4", "LoadBalancer", "v-5", "ExternalName",
    ]  # fmt: skip
    assert k.run("create", "token", "sa", "--duration=20m").count(".") == 2
    assert k.run("expose", "deployment", "d", "--port=80", "--target-port=8080", "--name=d-svc") == (
        "service/d-svc exposed\n"
    )
    assert k.run("autoscale", "deployment", "d", "--min=2", "--max=5", "--cpu-percent=80").endswith(" autoscaled\n")
    assert k.run("get", "hpa", "--no-headers").split()[:6] == ["d", "Deployment/d", "cpu:", "<unknown>/80%", "2", "5"]
    old = json.loads(k.run("get", "--raw", "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers/d"))
    assert old["spec"]["targetCPUUtilizationPercentage"] == 80 and "metrics" not in old["spec"]
    for arguments in (
        ("image", "deploy/d", "nginx=nginx:2"), ("env", "deploy/d", "A=1"), ("resources", "deploy/d", "--limits=cpu=1"),
        ("serviceaccount", "deploy/d", "sa"), ("selector", "svc/v-1", "app=z"),
        ("subject", "rolebinding/rb", "--user=foo"),
    ):  # fmt: skip
        assert k.run("set", *arguments).endswith(" updated\n"), arguments
    pod = json.loads(k.run("get", "deploy", "d", "-o", "json"))["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == "nginx:2" and pod["serviceAccountName"] == "sa"
    assert pod["containers"][0]["resources"] == {"limits": {"cpu": "1"}}
    assert len(json.loads(k.run("get", "rolebinding", "rb", "-o", "json"))["subjects"]) == 2
    assert k.run("scale", "deploy/d", "--replicas=3") == "deployment.apps/d scaled\n"
    assert k.run("auth", "can-i", "create", "pods").strip() == "yes"
    assert " reconciled\n" in k.run("auth", "reconcile", "-f", str(KINDS / "clusterrole.yaml"))


def test_kubectl_runs_debugs_and_waits(own: Kubectl) -> None:
    k = own
    assert k.run("run", "p", "--image=busybox", "--env=A=b", "--labels=app=x", "--", "sleep", "1") == "pod/p created\n"
    assert k.run("run", "q", "--image=busybox", "--restart=Never", "--dry-run=server", "-o", "name") == "pod/q\n"
    assert "condition met" in k.run("wait", "--for=jsonpath={.status.phase}=Pending", "pod/p", "--timeout=5s")
    k.run("wait", "--for=delete", "pod/none", "--timeout=3s")
    k.run("debug", "p", "--image=busybox", "-c", "look", "--profile=general", "--", "sh")
    assert k.run("get", "pod", "p", "-o", "jsonpath={.spec.ephemeralContainers[*].name}") == "look"
    assert "No events found" in k.run("events") + k.errors
    k.run("top", "pods", code=1)
    assert "Metrics API not available" in k.errors
    assert k.run("logs", "p", "-c", "p") == ""  # nothing was said on a node it was never given


def test_nodes_are_set_aside(own: Kubectl) -> None:
    k = own
    k.run("create", "-f", str(KINDS / "node.yaml"))
    assert k.run("taint", "node", "rack-1", "a=b:NoExecute") == "node/rack-1 tainted\n"
    assert k.run("taint", "node", "rack-1", "a-") == "node/rack-1 untainted\n"
    assert k.run("uncordon", "rack-1") == "node/rack-1 uncordoned\n"
    assert k.run("cordon", "rack-1") == "node/rack-1 cordoned\n"
    assert "SchedulingDisabled" in k.run("get", "node", "rack-1")
    assert "node/rack-1 drained\n" in k.run("drain", "rack-1", "--ignore-daemonsets", "--force")


def test_certificates_are_decided_upon(own: Kubectl) -> None:
    k = own
    k.run("create", "-f", str(KINDS / "certificatesigningrequest.yaml"))
    shown = k.run("get", "csr", "--no-headers").split()
    assert shown[0] == "jane" and shown[2:] == [
        "kubernetes.io/kube-apiserver-client", "kubernetes-admin", "24h", "Pending",
    ]  # fmt: skip
    assert k.run("certificate", "approve", "jane").endswith(" approved\n")
    assert k.run("get", "csr", "--no-headers").split()[-1] == "Approved"
    k.run("certificate", "deny", "jane", code=1)
