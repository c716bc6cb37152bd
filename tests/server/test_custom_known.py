"""Definitions of well-known projects, made small, with what is peculiar to each, and objects of them."""

# ruff: noqa: E501 - sentences are easier to compare in one piece

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.server.definitions import CRDS, until
from tests.server.world import TABLE, Api

Json = dict[str, Any]

DEFINITIONS = {each["metadata"]["name"]: each for path in sorted((Path(__file__).parent / "data" / "crds").glob("*.yaml"))
               for each in yaml.safe_load_all(path.read_text())}  # fmt: skip


async def use(api: Api, name: str) -> str:
    """Apply a definition as it stands; answers the path of its objects."""
    crd = DEFINITIONS[name]
    (await api.apply(f"{CRDS}/{name}", crd, fieldValidation="Strict")).ok(201)
    await until(api, name, "Established", "True")
    spec = crd["spec"]
    root = f"/apis/{spec['group']}/{spec['versions'][0]['name']}"
    return f"{root}/namespaces/default/{spec['names']['plural']}" if spec["scope"] == "Namespaced" else (
        f"{root}/{spec['names']['plural']}")  # fmt: skip


def body(name: str, **parts: Any) -> Json:
    spec = DEFINITIONS[name]["spec"]
    return {"apiVersion": f"{spec['group']}/{spec['versions'][0]['name']}", "kind": spec["names"]["kind"],
            "metadata": {"name": "one"}, **parts}  # fmt: skip


#: Of each definition: a spec that is fine, what of it is filled in, one that is not, and what is said of that.
USED: list[tuple[str, Json, Json, Json, str]] = [
    ("certificates.cert-manager.io",
     {"secretName": "tls", "issuerRef": {"name": "ca"}, "dnsNames": ["a.example.com"], "privateKey": {"algorithm": "RSA"}},
     {"issuerRef": {"name": "ca", "kind": "Issuer"}},
     {"issuerRef": {}, "privateKey": {"algorithm": "DSA"}, "revisionHistoryLimit": 0},
     '[spec.issuerRef.name: Required value, spec.privateKey.algorithm: Unsupported value: "DSA": supported values: "RSA", '
     '"ECDSA", "Ed25519", spec.revisionHistoryLimit: Invalid value: 0: spec.revisionHistoryLimit in body should be greater '
     'than or equal to 1, spec.secretName: Required value]'),
    ("httproutes.gateway.networking.k8s.io",
     {"hostnames": ["*.example.com"], "rules": [{"backendRefs": [{"name": "web", "port": 80}]}]},
     {"rules": [{"backendRefs": [{"name": "web", "port": 80, "group": "", "kind": "Service", "weight": 1}],
                 "matches": [{"path": {"type": "PathPrefix", "value": "/"}}]}]},
     {"rules": [{"backendRefs": [{"name": "web"}], "matches": [{"path": {"value": "x//y"}}],
                 "timeouts": {"request": "1s", "backendRequest": "2s"}}]},
     '[spec.rules[0].backendRefs[0]: Invalid value: "object": Must have port for Service reference, '
     "spec.rules[0].matches[0].path: Invalid value: \"object\": value must be an absolute path and start with '/' when type "
     "one of ['Exact', 'PathPrefix'], spec.rules[0].matches[0].path: Invalid value: \"object\": must not contain '//' when "
     "type one of ['Exact', 'PathPrefix'], spec.rules[0].timeouts: Invalid value: \"object\": backendRequest timeout cannot "
     'be longer than request timeout]'),
    ("prometheuses.monitoring.coreos.com",
     {"replicas": 2, "retention": "15d", "resources": {"requests": {"cpu": 1, "memory": "400Mi"}}},
     {"resources": {"requests": {"cpu": 1, "memory": "400Mi"}}},
     {"retention": "long", "resources": {"limits": {"cpu": True}}},
     "spec.retention in body should match"),
    ("servicemonitors.monitoring.coreos.com",
     {"selector": {"matchLabels": {"app": "web"}}, "endpoints": [{"targetPort": 80, "relabelings": [{}]}]},
     {"endpoints": [{"targetPort": 80, "relabelings": [{"action": "replace"}]}]},
     {"selector": {}}, "spec.endpoints: Required value"),
    ("applications.argoproj.io",
     {"project": "default", "destination": {"server": "https://x"}, "source": {
         "repoURL": "r", "helm": {"valuesObject": {"any": [1, {"thing": 2}]}}}},
     {"source": {"repoURL": "r", "helm": {"valuesObject": {"any": [1, {"thing": 2}]}}}},
     {"project": "default", "destination": {}, "source": {}}, "spec.source.repoURL: Required value"),
    ("workflows.argoproj.io", {"entrypoint": "main", "templates": [{"name": "main"}]}, {"entrypoint": "main"}, {}, ""),
    ("services.serving.knative.dev",
     {"template": {"metadata": {"name": "x", "annotations": {"a": "b"}}, "spec": {"containers": [{"image": "i", "env": []}]}}},
     {}, {"template": {"spec": {}}}, "spec.template.spec.containers: Required value"),
    ("kafkas.kafka.strimzi.io",
     {"kafka": {"listeners": [{"name": "plain", "port": 9092, "type": "internal", "tls": False}],
                "config": {"log.retention.hours": 1}}},
     {}, {"kafka": {"listeners": []}}, "spec.kafka.listeners in body should have at least 1 items"),
    ("scaledobjects.keda.sh",
     {"scaleTargetRef": {"name": "web"}, "triggers": [{"type": "cron", "metadata": {"start": "0 6 * * *"}}]},
     {}, {"scaleTargetRef": {"name": "web"}, "triggers": [{"type": "cron", "metadata": {"n": 1}}]},
     'spec.triggers[0].metadata.n in body must be of type string: "integer"'),
    ("helmreleases.helm.toolkit.fluxcd.io",
     {"interval": "5m", "chart": {"spec": {"chart": "web"}}, "values": ["any", {"thing": 1}]},
     {"chart": {"spec": {"chart": "web", "version": "*"}}, "values": ["any", {"thing": 1}]},
     {"interval": "5m"}, 'spec: Invalid value: "object": either chart or chartRef must be set'),
    ("xdatabases.platform.example.org", {"parameters": {"storageGB": 20}}, {"compositionUpdatePolicy": "Automatic"},
     {"parameters": {"storageGB": "20"}}, 'must be of type integer: "string"'),
]  # fmt: skip


@pytest.mark.parametrize(("name", "good", "filled", "bad", "wrong"), USED, ids=[each[0] for each in USED])
async def test_definitions_in_the_field(api: Api, name: str, good: Json, filled: Json, bad: Json, wrong: str) -> None:
    path = await use(api, name)
    made = (await api.apply(f"{path}/one", body(name, spec=good))).ok(201)
    for field, value in (*good.items(), *filled.items()):
        if field not in filled or value is filled[field]:
            assert made["spec"][field] == value
    again = (await api.apply(f"{path}/one", body(name, spec=good))).ok()
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
    table = (await api.get(path, accept=TABLE)).ok()
    assert table["rows"][0]["cells"][0] == "one"
    if wrong:
        refused = await api.post(path, {**body(name, spec=bad), "metadata": {"name": "two"}})
        assert refused.code == 422, refused.message
        assert wrong in refused.message
    # A definition that is read back and sent again is as good as it was.
    crd = (await api.get(f"{CRDS}/{name}")).ok()
    again = (await api.put(f"{CRDS}/{name}", crd)).ok()
    assert again["metadata"]["resourceVersion"] == crd["metadata"]["resourceVersion"]
    group = DEFINITIONS[name]["spec"]["group"]
    version = DEFINITIONS[name]["spec"]["versions"][0]["name"]
    assert (await api.get(f"/openapi/v3/apis/{group}/{version}")).code == 200
    (await api.delete(f"{CRDS}/{name}")).ok()


async def test_all_beside_each_other(api: Api) -> None:
    for name in DEFINITIONS:
        await use(api, name)
    assert (await api.get(CRDS)).names == sorted(DEFINITIONS)
    # The core's own services and those of Knative are different things.
    assert (await api.get("/apis/serving.knative.dev/v1/services")).ok()["kind"] == "ServiceList"
    route = DEFINITIONS["httproutes.gateway.networking.k8s.io"]["metadata"]["name"]
    found = (await api.get(f"{CRDS}/{route}")).ok()
    condition = next(each for each in found["status"]["conditions"]
                     if each["type"] == "KubernetesAPIApprovalPolicyConformant")  # fmt: skip
    assert (condition["status"], condition["reason"], condition["message"]) == (
        "True", "ApprovedAnnotation", "approved in https://github.com/kubernetes-sigs/gateway-api/pull/3328")  # fmt: skip
    old = await api.get("/apis/gateway.networking.k8s.io/v1beta1/httproutes")
    assert old.headers["warning"] == '299 - "use v1"'
