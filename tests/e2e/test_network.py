"""Services, names and identities, from inside real pods."""

import http.client
import json
import ssl
import time
from collections.abc import Callable, Iterator

import pytest
from tests.e2e.world import Cluster

pytestmark = pytest.mark.e2e
NAMESPACE = "net"
SLEEPER = "trap 'exit 0' TERM; while true; do sleep 1 & wait; done"
MOUNTED = "/var/run/secrets/kubernetes.io/serviceaccount"
WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: net}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      hostname: host
      subdomain: apart
      terminationGracePeriodSeconds: 1
      containers: [{name: web, image: kaa/demo:v1, ports: [{name: http, containerPort: 8080}]}]
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: net}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{name: http, port: 8081, targetPort: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: sticky, namespace: net}
spec: {sessionAffinity: ClientIP, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: apart, namespace: net}
spec: {clusterIP: None, selector: {app: web}, ports: [{name: http, port: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: elsewhere, namespace: net}
spec: {type: ExternalName, externalName: web.net.svc.cluster.local}
"""


@pytest.fixture(scope="module")
def net(real: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    manifest = tmp_path_factory.mktemp("net") / "web.yaml"
    manifest.write_text(WEB)
    real.kubectl("create", "namespace", NAMESPACE)
    try:
        until(lambda: "default" in real.kubectl("get", "serviceaccounts", "-n", NAMESPACE))
        real.kubectl("apply", "-f", str(manifest))
        real.kubectl("run", "client", "-n", NAMESPACE, "--image=busybox:1.36", "--", "sh", "-c", SLEEPER)
        real.kubectl("wait", "-n", NAMESPACE, "--for=condition=Ready", "pod/client", "--timeout=60s")
        real.kubectl("rollout", "status", "-n", NAMESPACE, "deployment/web", "--timeout=60s")
        yield real
    finally:
        real.kubectl("delete", "namespace", NAMESPACE, "--timeout=90s")


def until(check: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if check():
                return
        except (OSError, AssertionError, http.client.HTTPException):
            pass
        assert time.monotonic() < deadline, "not so in time"
        time.sleep(0.1)


def inside(net: Cluster, command: str) -> str:
    return net.kubectl("exec", "-n", NAMESPACE, "client", "--", "sh", "-c", command)


def service(net: Cluster, name: str) -> dict:
    return json.loads(net.kubectl("get", "service", name, "-n", NAMESPACE, "-o", "json"))


def ask(host: str, port: int) -> str:
    connection = http.client.HTTPConnection(host, port, timeout=3)
    try:
        connection.request("GET", "/", headers={"Connection": "close"})
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def test_a_load_balancer_is_the_node_itself(net: Cluster) -> None:
    until(lambda: bool(service(net, "web")["status"]["loadBalancer"].get("ingress")))
    ip = service(net, "web")["status"]["loadBalancer"]["ingress"][0]["ip"]
    node = json.loads(net.kubectl("get", "nodes", "-o", "json"))["items"][0]
    assert ip == next(each["address"] for each in node["status"]["addresses"] if each["type"] == "InternalIP")
    until(lambda: "v1 web-" in ask(ip, 8081) or "v1 host" in ask(ip, 8081))


def test_a_client_stays_with_its_pod_where_the_service_says_so(net: Cluster) -> None:
    until(lambda: "v1" in inside(net, "wget -qO- http://sticky"))
    answers = {inside(net, "wget -qO- http://sticky").strip() for _ in range(6)}
    assert len(answers) == 1
    spread = inside(net, "for i in 1 2 3 4 5 6; do wget -qO- http://web:8081; done").split()
    assert len({word for word in spread if word != "v1"}) in (1, 3)  # all pods share one hostname here


def test_names_of_a_headless_service(net: Cluster) -> None:
    pods = json.loads(net.kubectl("get", "pods", "-n", NAMESPACE, "-l", "app=web", "-o", "json"))["items"]
    addresses = {pod["status"]["podIP"] for pod in pods}
    until(lambda: addresses <= set(inside(net, "nslookup apart.net.svc.cluster.local").split()))
    assert addresses <= set(inside(net, "nslookup host.apart.net.svc.cluster.local").split())
    records = inside(net, "nslookup -type=srv _http._tcp.apart.net.svc.cluster.local")
    assert "8080 host.apart.net.svc.cluster.local" in records
    some = sorted(addresses)[0]
    assert "apart.net.svc.cluster.local" in inside(net, f"nslookup {some}")
    dashed = some.replace(".", "-")
    assert some in inside(net, f"nslookup {dashed}.net.pod.cluster.local")


def test_a_service_can_be_another_name(net: Cluster) -> None:
    assert "v1" in inside(net, "wget -qO- http://elsewhere:8081")


def test_an_address_has_a_name(net: Cluster) -> None:
    ip = service(net, "web")["spec"]["clusterIP"]
    assert "web.net.svc.cluster.local" in inside(net, f"nslookup {ip}")


def as_pod(net: Cluster, path: str) -> tuple[int, dict]:
    """Ask the API at its cluster IP, with what is mounted into the pod: its token, and the CA it should trust."""
    token, ca = inside(net, f"cat {MOUNTED}/token"), inside(net, f"cat {MOUNTED}/ca.crt")
    ip = json.loads(net.kubectl("get", "service", "kubernetes", "-n", "default", "-o", "json"))["spec"]["clusterIP"]
    connection = http.client.HTTPSConnection(ip, 443, context=ssl.create_default_context(cadata=ca), timeout=5)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_a_pod_may_do_what_it_is_granted_and_no_more(net: Cluster) -> None:
    pods = "/api/v1/namespaces/net/pods"
    status, refused = as_pod(net, pods)
    assert status == 403
    assert 'User "system:serviceaccount:net:default" cannot list resource "pods"' in refused["message"]
    net.kubectl("create", "role", "-n", NAMESPACE, "look", "--verb=list", "--resource=pods")
    net.kubectl("create", "rolebinding", "-n", NAMESPACE, "look", "--role=look", "--serviceaccount=net:default")
    status, listed = as_pod(net, pods)
    assert status == 200
    assert "client" in {pod["metadata"]["name"] for pod in listed["items"]}
    assert as_pod(net, "/api/v1/namespaces/kube-system/pods")[0] == 403
    assert as_pod(net, "/api/v1/namespaces/net/secrets")[0] == 403


def test_from_inside_the_api_has_its_name(net: Cluster) -> None:
    assert inside(net, "nc -w 5 kubernetes.default.svc 443 </dev/null && echo reached").strip() == "reached"
