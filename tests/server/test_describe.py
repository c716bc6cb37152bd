"""What `kubectl describe` makes of every kind."""

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.server.live import Kubectl, LiveServer

#: Clients are slow to start, or time has to pass: not in the quick part.
pytestmark = pytest.mark.slow

KINDS = Path(__file__).parents[2] / "examples" / "kinds"
FOUND = {
    "1.32": str(Path(sys.prefix) / "kubectl-1.32" / "kubectl"),
    "today": str(Path(sys.prefix) / "bin" / "kubectl"),
}

#: File -> what its description says, spaces squeezed.
SAID = {
    "certificatesigningrequest": ["Requesting User: kubernetes-admin", "Requested Duration: 24h", "Common Name: jane"],
    "clusterrole": ["*.apps [] [] [get list]", "[/metrics] [] [get]"],
    "clusterrolebinding": ["Kind: ClusterRole", "ServiceAccount deployer default"],
    "configmap": ["log-level:\n----\ninfo", "logo: 8 bytes"],
    "cronjob": ["Schedule: 15 2 * * *", "Concurrency Policy: Forbid", "Time Zone: Europe/Berlin"],
    "csidriver": ["Volume Lifecycle Modes:\nPersistent\nEphemeral", "Expiration Seconds: 3600"],
    "csinode": ["Node ID: i-0123", "Count: 25", "Topology Keys: [topology.kubernetes.io/zone]"],
    "customresourcedefinition": ["Kind: Teapot", "Json Path: .spec.cups"],
    "daemonset": ["Node-Selector: kubernetes.io/os=linux", "/var/log from logs (ro)", "Tolerations: op=Exists"],
    "deployment": ["Replicas: 3 desired |", "0 max unavailable, 1 max surge", "Readiness: http-get http://:http/"],
    "endpoints": ["Addresses: 10.20.0.5,10.20.0.6", "sql 5432 TCP"],
    "endpointslice": ["AddressType: IPv4", "Zone: zone-a"],
    "event": ["Reason: Started", "Note: Assigned default/shop to rack-1"],
    "flowschema": ["Matching Precedence: 500", "Namespace: operators"],
    "horizontalpodautoscaler": [
        "resource cpu on pods (as a percentage of request): <unknown> / 70%",
        '"requests_per_second" on Ingress/shop (target value): <unknown> / 10k',
        "- Type: Percent Value: 50 Period: 60 seconds",
        "Reference: StatefulSet/db",
    ],
    "ingress": ["shop-tls terminates shop.example.com", "/metrics shop:9090", "APIGroup: example.com, Kind: Bucket"],
    "ingressclass": ["Controller: example.com/edge", "Name: public"],
    "ipaddress": ["Resource: services", "Namespace: default"],
    "job": ["Completion Mode: Indexed", "Active Deadline Seconds: 600s", "TTL Seconds After Finished: 3600"],
    "limitrange": ["Container cpu - 2 50m 500m -", "PersistentVolumeClaim storage - 100Gi"],
    "networkpolicy": [
        "PodSelector: app=db",
        "CIDR: 10.0.0.0/8",
        "Except: 10.9.0.0/16",
        "To Port Range: 32000-32768/UDP",
    ],
    "node": ["Roles: worker", "Taints: dedicated=shop:NoSchedule", "Unschedulable: true"],
    "persistentvolume": ["Path: /archive", "Term 0: kubernetes.io/hostname in [rack-1]", "VolumeHandle: vol-0123"],
    "persistentvolumeclaim": ["StorageClass: shared", "DataSource:\nKind: PersistentVolumeClaim\nName: uploads"],
    "pod": ["Ready", "Type: ConfigMap (a volume populated by a ConfigMap)", "QoS Class: Burstable"],
    "poddisruptionbudget": ["Min available: 2", "Max unavailable: 25%"],
    "priorityclass": ["Value: -100", "PreemptionPolicy: Never", "Description: Jobs that may wait."],
    "prioritylevelconfiguration": ["Hand Size: 6", "Nominal Concurrency Shares: 20"],
    "replicaset": ["Selector: app in (cache)", "Replicas: 0 current / 2 desired"],
    "resourceclaim": ["Device Class Name: gpu", "Match Attribute: gpu.example.com/board"],
    "resourceslice": ["Driver: gpu.example.com", "Resource Slice Count: 1"],
    "role": ["pods/log [] [] [get list watch]", "configmaps [] [shop] [get update]"],
    "rolebinding": ["User jane", "Group team-a", "ServiceAccount deployer"],
    "runtimeclass": ["Handler: kata"],
    "secret": ["API_TOKEN: 16 bytes", "Type: kubernetes.io/basic-auth"],
    "service": ["Type: NodePort", "External Name: api.partner.example.com", "TargetPort: http/TCP"],
    "serviceaccount": ["Image pull secrets: registry"],
    "servicecidr": ["CIDRs: 10.99.0.0/16"],
    "statefulset": ["Replicas: 3 desired | 0 total", "Capacity: 10Gi", "Access Modes: [ReadWriteOnce]"],
    "storageclass": [
        "IsDefaultClass: Yes",
        "Parameters: tier=ssd",
        "AllowVolumeExpansion: True",
        "in [zone-a, zone-b]",
    ],
    "validatingadmissionpolicy": ["Expression: variables.replicas <= 100", "Reason: Invalid"],
    "validatingwebhookconfiguration": ["Timeout Seconds: 5", "Path: /check"],
    "volumeattachment": ["Persistent Volume Name: cloud-disk"],
}


#: Said by today's kubectl only; the older one asks for some of these kinds in a beta version, which is off by default.
ONLY_TODAY = {"cronjob": {"Time Zone: Europe/Berlin"}, "ipaddress": {"*"}, "servicecidr": {"*"},
              "volumeattributesclass": {"*"}}  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    live = LiveServer(tmp_path_factory.mktemp("describe"))
    live.start()
    kubectl = Kubectl(FOUND["today"], live)
    kubectl.run("create", "serviceaccount", "default")
    kubectl.run("create", "-f", str(KINDS))
    yield live
    live.stop()


@pytest.mark.parametrize("version", sorted(FOUND))
def test_every_kind_is_described(server: LiveServer, version: str, tmp_path: Path) -> None:
    """All at once: each call costs a start of kubectl."""
    k = Kubectl(FOUND[version], server)
    files = tmp_path / "kinds"
    shutil.copytree(KINDS, files)
    newer = ONLY_TODAY if version != "today" else {}
    for name, what in newer.items():
        if "*" in what:
            (files / f"{name}.yaml").unlink()
    text = k.run("describe", "-f", str(files))
    assert k.errors == "", k.errors
    squeezed = re.sub(r"[ \t]+", " ", re.sub(r"^[ \t]+", "", text, flags=re.MULTILINE))
    missing = [
        (name, said)
        for name, wanted in SAID.items()
        for said in wanted
        if said not in squeezed and not newer.get(name, set()) & {said, "*"}
    ]
    assert missing == [], text
    for file in files.glob("*.yaml"):
        for each in yaml.safe_load_all(file.read_text()):
            assert re.search(rf"^Name: +{re.escape(each['metadata']['name'])}$", text, re.MULTILINE), file


@pytest.mark.parametrize("version", sorted(FOUND))
def test_events_stand_below(server: LiveServer, version: str) -> None:
    k = Kubectl(FOUND[version], server)
    found = k.run("get", "pod", "shop", "-o", "jsonpath={.metadata.uid}")
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"pulled-{version.replace('.', '-')}", "namespace": "default"},
        "involvedObject": {"apiVersion": "v1", "kind": "Pod", "name": "shop", "namespace": "default", "uid": found},
        "type": "Normal",
        "reason": "Pulled",
        "message": "Image was there already",
        "source": {"component": "kubelet"},
        "lastTimestamp": "2026-01-05T10:00:00Z",
    }
    k.run("create", "-f", "-", text=yaml.safe_dump(event))
    text = re.sub(r" +", " ", k.run("describe", "pod", "shop"))
    assert "Normal Pulled" in text and "kubelet Image was there already" in text
