"""Pods in the words of CRI: environment, resources, security, names, credentials."""

import base64
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.kubelet.builders import pod

from kaa.kinds.views import ConfigMap, Secret, Service
from kaa.kinds.views.base import decoder
from kaa.kubelet import amounts
from kaa.kubelet.cri import api
from kaa.kubelet.dns import Resolver, hosts_file, parse_resolv_conf, pod_dns
from kaa.kubelet.downward import PodFacts, field_value, quoted_map, resource_value
from kaa.kubelet.env import environment, expand, service_env
from kaa.kubelet.errors import ConfigError
from kaa.kubelet.secretdata import credentials
from kaa.kubelet.security import container_security
from kaa.kubelet.settings import Settings


class Sources:
    """Objects at hand."""

    def __init__(self, **maps: dict[str, str]) -> None:
        self.maps = maps

    def config_map(self, name: str) -> ConfigMap | None:
        return ConfigMap(data=self.maps[name]) if name in self.maps else None

    def secret(self, name: str) -> Secret | None:
        if name not in self.maps:
            return None
        return Secret(data={key: base64.b64encode(value.encode()).decode() for key, value in self.maps[name].items()})


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("$(A)-$(B)", "1-2"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$(NO)", "$(NO)"),
        ("$A $ $(", "$A $ $("),
        ("$$", "$"),
    ],
)
def test_expand(text: str, wanted: str) -> None:
    assert expand(text, {"A": "1", "B": "2"}) == wanted


def env_of(container: dict[str, Any], sources: Sources | None = None, services: dict[str, str] | None = None) -> Any:
    of = pod({"name": "web", **container}, metadata={"labels": {"app": "x"}})
    return environment(
        of, of.spec.containers[0], sources or Sources(), services or {}, PodFacts(("10.0.0.5",), "1.2.3.4")
    )


def test_environment_order_and_references() -> None:
    found = env_of(
        {
            "envFrom": [{"prefix": "P_", "configMapRef": {"name": "cfg"}}, {"secretRef": {"name": "s"}}],
            "env": [
                {"name": "A", "value": "$(P_x)/$(SVC)/$(LATER)"},
                {"name": "LATER", "value": "$(A)"},
                {"name": "L", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
                {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                {"name": "OPT", "valueFrom": {"secretKeyRef": {"name": "none", "key": "k", "optional": True}}},
            ],
        },
        Sources(cfg={"x": "1", "a=b": "2"}, s={"k": "v"}),
        {"SVC": "svc", "A": "lost"},
    )
    assert found.variables == {
        "P_x": "1", "k": "v", "A": "1/svc/$(LATER)", "LATER": "1/svc/$(LATER)", "L": "x", "IP": "10.0.0.5",
        "SVC": "svc",
    }  # fmt: skip
    assert found.skipped == (
        "Keys [P_a=b] from the EnvFrom configMap default/cfg were skipped since they are considered invalid "
        "environment variable names.",
    )


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"configMapKeyRef": {"name": "no", "key": "k"}}, 'configmap "no" not found'),
        ({"configMapKeyRef": {"name": "cfg", "key": "k"}}, "couldn't find key k in ConfigMap default/cfg"),
        ({"secretKeyRef": {"name": "no", "key": "k"}}, 'secret "no" not found'),
        ({"fieldRef": {"fieldPath": "spec.nope"}}, "unsupported fieldPath: spec.nope"),
    ],
)
def test_environment_says_what_is_missing(source: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        env_of({"env": [{"name": "A", "valueFrom": source}]}, Sources(cfg={}))
    assert caught.value.message == message


def service(name: str, namespace: str, ip: str) -> Service:
    obj = {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"clusterIP": ip, "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]},
    }
    return decoder(Service).decode(orjson.dumps(obj))


def test_service_links() -> None:
    services = [
        service("kubernetes", "default", "10.96.0.1"),
        service("my-db", "default", "10.96.0.2"),
        service("other", "elsewhere", "10.96.0.3"),
        service("headless", "default", "None"),
    ]
    found = service_env(pod(), services)
    assert found["MY_DB_SERVICE_HOST"] == "10.96.0.2"
    assert found["MY_DB_PORT_80_TCP"] == "tcp://10.96.0.2:80"
    assert found["MY_DB_SERVICE_PORT_HTTP"] == "80"
    assert not any(key.startswith(("OTHER", "HEADLESS")) for key in found)
    assert {key.split("_")[0] for key in service_env(pod(enableServiceLinks=False), services)} == {"KUBERNETES"}


def test_downward() -> None:
    of = pod(
        {"name": "web", "resources": {"limits": {"cpu": "250m", "memory": "64Mi"}}},
        metadata={"annotations": {"b": 'say "hi"\n', "a": "1"}},
    )
    assert field_value(of, "metadata.annotations['a']", PodFacts()) == "1"
    assert quoted_map(of.annotations) == 'a="1"\nb="say \\"hi\\"\\n"'
    facts = PodFacts(allocatable={"cpu": "2", "ephemeral-storage": "10Gi"})
    for resource, divisor, wanted in (
        ("limits.cpu", "0", "0"),
        ("limits.cpu", "1m", "250"),
        ("limits.memory", "1Mi", "64"),
        ("limits.ephemeral-storage", "1Gi", "10"),
        ("requests.cpu", "1", "0"),
    ):
        got = resource_value(of, of.spec.containers[0], "", resource, divisor, facts)
        # 250m of a CPU, in whole CPUs, is one.
        assert got == ("1" if (resource, divisor) == ("limits.cpu", "0") else wanted)


LIMITS = {"limits": {"cpu": "500m", "memory": "64Mi"}}


@pytest.mark.parametrize(
    ("resources", "wanted"),
    [
        ({}, "BestEffort"),
        (LIMITS, "Guaranteed"),
        ({"requests": {"cpu": "100m"}}, "Burstable"),
        ({"requests": {"cpu": "100m"}, **LIMITS}, "Burstable"),
        ({"limits": {"cpu": "1"}}, "Burstable"),
    ],
)
def test_qos(resources: dict[str, Any], wanted: str) -> None:
    assert amounts.qos_class(pod({"name": "web", "resources": resources})) == wanted


def test_amounts() -> None:
    assert [amounts.cpu_shares(m) for m in (0, 1, 100, 1000, 10**9)] == [2, 2, 102, 1024, 262144]
    assert [amounts.cpu_quota(m) for m in (0, 5, 500, 2000)] == [0, 1000, 50000, 200000]
    burstable = pod({"name": "web", "resources": {"requests": {"memory": "1Gi"}}})
    assert amounts.oom_score_adj(burstable, burstable.spec.containers[0], 4 << 30) == 750
    sums = pod(
        {"name": "a", "resources": {"requests": {"cpu": "100m"}, "limits": {"cpu": "200m"}}},
        init=({"name": "i", "resources": {"requests": {"cpu": "400m"}}},
              {"name": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": "50m"}}}),
    )  # fmt: skip
    assert amounts.pod_sums(sums)[:2] == (400, 0)


def test_run_as_non_root() -> None:
    def check(context: dict[str, Any], image: api.Image) -> api.ContainerSecurity:
        of = pod({"name": "web", "securityContext": {"runAsNonRoot": True, **context}})
        return container_security(of, of.spec.containers[0], image, Path("/"))

    assert check({"runAsUser": 5}, api.Image("x")).run_as_user == 5
    assert check({}, api.Image("x", uid=7)).run_as_user == 7
    for context, image, message in (
        ({}, api.Image("x"), "container has runAsNonRoot and image will run as root "
                             '(pod: "web_default(u1)", container: web)'),
        ({"runAsUser": 0}, api.Image("x"), "container's runAsUser breaks non-root policy"),
        ({}, api.Image("x", username="bob"), "container has runAsNonRoot and image has non-numeric user (bob), cannot "
                                             "verify user is non-root"),
    ):  # fmt: skip
        with pytest.raises(ConfigError) as caught:
            check(context, image)
        assert caught.value.message.startswith(message)


def test_dns() -> None:
    settings = Settings("n", cluster_dns=("10.96.0.10",))
    node = parse_resolv_conf("nameserver 9.9.9.9 # x\nsearch corp.example\noptions timeout:1\n")
    config, warning = pod_dns(pod(), settings, node)
    assert config.servers == ("10.96.0.10",)
    assert config.searches == ("default.svc.cluster.local", "svc.cluster.local", "cluster.local", "corp.example")
    assert (config.options, warning) == (("ndots:5",), "")
    assert pod_dns(pod(hostNetwork=True), settings, node)[0].servers == ("9.9.9.9",)
    assert pod_dns(pod(hostNetwork=True, dnsPolicy="ClusterFirstWithHostNet"), settings, node)[0].servers == (
        "10.96.0.10",
    )
    own = {
        "nameservers": ["1.1.1.1"],
        "searches": ["a"],
        "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}],
    }
    config, _ = pod_dns(pod(dnsPolicy="None", dnsConfig=own), settings, node)
    assert (config.servers, config.searches, config.options) == (("1.1.1.1",), ("a",), ("ndots:2", "edns0"))
    assert "ClusterDNS" in pod_dns(pod(), Settings("n"), Resolver())[1]


def test_hosts_file() -> None:
    text = hosts_file(
        pod(hostAliases=[{"ip": "1.2.3.4", "hostnames": ["a", "b"]}]),
        ("10.0.0.5",),
        "web",
        "web.s.default.svc.x",
        Path("/"),
    )
    assert "10.0.0.5\tweb.s.default.svc.x\tweb\n" in text
    assert text.endswith("# Entries added by HostAliases.\n1.2.3.4\ta\tb\n")


def test_credentials() -> None:
    auths = {"auths": {"r.example:5000": {"username": "u", "password": "p"}, "r.example:5000/team": {"auth": "dDpx"},
                       "https://index.docker.io/v1/": {"auth": "ZDpk"}}}  # fmt: skip
    secret = Secret(type="kubernetes.io/dockerconfigjson",
                    data={".dockerconfigjson": base64.b64encode(orjson.dumps(auths)).decode()})  # fmt: skip
    names = [[a.username for a in credentials(image, [secret])] for image in
             ("r.example:5000/x:1", "r.example:5000/team/x", "nginx", "ghcr.io/x")]  # fmt: skip
    assert names == [["u"], ["t", "u"], ["d"], []]
