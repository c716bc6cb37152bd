"""PodSecurity: each control of the standards in the original's words; modes, versions, exemptions, standing pods."""

from typing import Any

import pytest
from tests.server.world import DEPLOYMENTS, PODS, Api, World, deployment, obj, pod, running

from kaa.server.admission.podsecurity import PodSecuritySettings
from kaa.server.admission.podsecurity.standards import evaluate

Json = dict[str, Any]

GOOD: Json = {
    "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}  # fmt: skip


def told(level: Any, spec: Json, version: str = "latest", **annotations: str) -> str:
    return ", ".join(map(str, evaluate(level, version, annotations, spec)))


def of(security: Json | None = None, /, **spec: Any) -> Json:
    container: Json = {"name": "c", "image": "busybox"}
    if security:
        container["securityContext"] = security
    return {"containers": [container], **spec}


BASELINE: list[tuple[Json, str]] = [
    (of(), ""),
    (of({"appArmorProfile": {"type": "Unconfined"}}),
     'forbidden AppArmor profile (container "c" must not set AppArmor profile type to "Unconfined")'),
    (of(securityContext={"appArmorProfile": {"type": "Unconfined"}}),
     'forbidden AppArmor profile (pod must not set AppArmor profile type to "Unconfined")'),
    (of({"capabilities": {"add": ["NET_ADMIN", "CHOWN", "BPF"]}}),
     'non-default capabilities (container "c" must not include "BPF", "NET_ADMIN" in '
     "securityContext.capabilities.add)"),
    (of(hostNetwork=True, hostPID=True, hostIPC=True),
     "host namespaces (hostNetwork=true, hostPID=true, hostIPC=true)"),
    (of(volumes=[{"name": "a", "hostPath": {"path": "/"}}]), 'hostPath volumes (volume "a")'),
    (of(volumes=[{"name": "a", "hostPath": {"path": "/"}}, {"name": "b", "hostPath": {"path": "/"}}]),
     'hostPath volumes (volumes "a", "b")'),
    ({"containers": [{"name": "a", "ports": [{"containerPort": 1, "hostPort": 80}]},
                     {"name": "b", "ports": [{"containerPort": 1, "hostPort": 443}]}]},
     'hostPort (containers "a", "b" use hostPorts 443, 80)'),
    ({"containers": [{"name": "a", "livenessProbe": {"httpGet": {"port": 1, "host": "127.0.0.1"}}}]},
     'probe or lifecycle host (container "a" uses probe or lifecycle host "127.0.0.1")'),
    ({"containers": [{"name": "a", "lifecycle": {"preStop": {"tcpSocket": {"port": 1, "host": "h"}}}},
                     {"name": "b", "startupProbe": {"tcpSocket": {"port": 1, "host": "g"}}}]},
     'probe or lifecycle host (containers "a", "b" use probe or lifecycle hosts "g", "h")'),
    (of({"privileged": True}), 'privileged (container "c" must not set securityContext.privileged=true)'),
    (of({"procMount": "Unmasked"}), 'procMount (container "c" must not set securityContext.procMount to "Unmasked")'),
    (of({"procMount": "Unmasked"}, hostUsers=False), ""),
    (of({"seLinuxOptions": {"type": "container_engine_t"}}), ""),
    (of({"seLinuxOptions": {"type": "foo", "user": "u", "role": "r"}},
        securityContext={"seLinuxOptions": {"type": "bar"}}),
     'seLinuxOptions (pod and container "c" set forbidden securityContext.seLinuxOptions: types "bar", "foo"; '
     "user may not be set; role may not be set)"),
    (of({"seccompProfile": {"type": "Unconfined"}}),
     'seccompProfile (container "c" must not set securityContext.seccompProfile.type to "Unconfined")'),
    (of({"seccompProfile": {"type": "Unconfined"}}, securityContext={"seccompProfile": {"type": "Unconfined"}}),
     'seccompProfile (pod and container "c" must not set securityContext.seccompProfile.type to "Unconfined")'),
    (of(securityContext={"sysctls": [{"name": "a", "value": "1"}, {"name": "net.ipv4.tcp_rmem", "value": "1"},
                                     {"name": "b", "value": "1"}]}), "forbidden sysctls (a, b)"),
    (of(securityContext={"windowsOptions": {"hostProcess": True}}),
     "hostProcess (pod must not set securityContext.windowsOptions.hostProcess=true)"),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "text"), BASELINE)
def test_the_controls_of_baseline(spec: Json, text: str) -> None:
    assert told("baseline", spec) == text
    assert told("privileged", spec) == ""


RESTRICTED: list[tuple[Json, str]] = [
    (of(GOOD), ""),
    (of(), 'allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), '
           'unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]), '
           'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), '
           'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or '
           '"Localhost")'),
    (of({**GOOD, "capabilities": {"add": ["NET_BIND_SERVICE", "CHOWN"], "drop": ["CHOWN"]}}),
     'unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]; container "c" must '
     'not include "CHOWN" in securityContext.capabilities.add)'),
    (of(GOOD, volumes=[{"name": "a", "hostPath": {"path": "/"}}, {"name": "b", "emptyDir": {}},
                       {"name": "i", "image": {"reference": "x"}}]),
     'restricted volume types (volume "a" uses restricted volume type "hostPath")'),
    (of(GOOD, volumes=[{"name": "a", "nfs": {}}, {"name": "b", "rbd": {}}]),
     'restricted volume types (volumes "a", "b" use restricted volume types "nfs", "rbd")'),
    (of({**GOOD, "runAsNonRoot": False}),
     'runAsNonRoot != true (container "c" must not set securityContext.runAsNonRoot=false)'),
    (of({**GOOD, "runAsUser": 0}, securityContext={"runAsUser": 0}),
     'runAsUser=0 (pod and container "c" must not set runAsUser=0)'),
    (of({**GOOD, "runAsUser": 0, "runAsNonRoot": False}, hostUsers=False), ""),
    (of({**GOOD, "procMount": "Unmasked"}, hostUsers=False),
     'procMount (container "c" must not set securityContext.procMount to "Unmasked")'),
    (of({**GOOD, "seccompProfile": {"type": "Unconfined"}}),
     'seccompProfile (container "c" must not set securityContext.seccompProfile.type to "Unconfined")'),
    (of({"runAsNonRoot": True}, os={"name": "windows"}), ""),
    ({"initContainers": [{"name": "i"}], "containers": [{"name": "c", "securityContext": GOOD}],
      "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "Localhost"}}},
     'allowPrivilegeEscalation != false (container "i" must set securityContext.allowPrivilegeEscalation=false), '
     'unrestricted capabilities (container "i" must set securityContext.capabilities.drop=["ALL"])'),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "text"), RESTRICTED)
def test_the_controls_of_restricted(spec: Json, text: str) -> None:
    assert told("restricted", spec) == text


def test_versions_ask_what_they_asked_then() -> None:
    assert told("restricted", of(), "v1.7") == (
        'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true)'
    )
    probes = {"containers": [{"name": "a", "livenessProbe": {"httpGet": {"port": 1, "host": "h"}}}]}
    assert told("baseline", probes, "v1.33") == ""
    assert told("baseline", of({"procMount": "Unmasked"}, hostUsers=False), "v1.34") != ""
    assert told("baseline", of({"seLinuxOptions": {"type": "container_engine_t"}}), "v1.30") != ""
    assert told("baseline", of(), "v1.0", **{"seccomp.security.alpha.kubernetes.io/pod": "unconfined"}) == (
        'seccompProfile (forbidden annotation seccomp.security.alpha.kubernetes.io/pod="unconfined")'
    )
    assert told("baseline", of(), **{"container.apparmor.security.beta.kubernetes.io/c": "unconfined"}) == (
        "forbidden AppArmor profile (annotation must not set AppArmor profile type to "
        '"container.apparmor.security.beta.kubernetes.io/c="unconfined"")'
    )
    sysctl = of(securityContext={"sysctls": [{"name": "net.ipv4.tcp_fin_timeout", "value": "1"}]})
    assert [bool(told("baseline", sysctl, version)) for version in ("v1.28", "v1.29", "v1.99")] == [True, False, False]


async def label(api: Api, **levels: str) -> Any:
    labels = {f"pod-security.kubernetes.io/{mode.replace('_', '-')}": level for mode, level in levels.items()}
    return await api.merge("/api/v1/namespaces/default", {"metadata": {"labels": labels}})


def warnings(answer: Any) -> str:
    return str(answer.headers.get("warning", ""))


async def test_enforcing_refuses_pods_and_warns_of_templates(api: Api) -> None:
    (await label(api, enforce="restricted", warn="baseline")).ok()
    refused = await api.post(PODS, pod("a"))
    assert (refused.code, refused.reason) == (403, "Forbidden")
    assert refused.message.startswith(
        'pods "a" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container '
        '"c" must set securityContext.allowPrivilegeEscalation=false), '
    )
    container = {"name": "c", "image": "x", "securityContext": GOOD}
    (await api.post(PODS, pod("good", containers=[container]))).ok(201)
    # What makes pods is never refused: only warn and audit are asked of it.
    made = await api.post(DEPLOYMENTS, deployment("d"))
    assert made.code == 201
    assert "PodSecurity" not in warnings(made)
    bad = deployment("bad")
    bad["spec"]["template"]["spec"]["hostNetwork"] = True
    assert 'would violate PodSecurity \\"baseline:latest\\": host namespaces (hostNetwork=true)' in warnings(
        await api.post(DEPLOYMENTS, bad)
    )
    cron = obj("CronJob", "cron", "batch/v1", spec={"schedule": "* * * * *", "jobTemplate": {"spec": {"template": {
        "spec": {"restartPolicy": "Never", "hostPID": True, "containers": [container]}}}}})  # fmt: skip
    made = await api.post("/apis/batch/v1/namespaces/default/cronjobs", cron)
    assert "host namespaces (hostPID=true)" in warnings(made)


async def test_warning_lets_pods_pass(api: Api) -> None:
    (await label(api, warn="restricted", warn_version="v1.7")).ok()
    made = await api.post(PODS, pod("a"))
    assert made.code == 201
    assert 'would violate PodSecurity \\"restricted:v1.7\\": runAsNonRoot != true' in warnings(made)


async def test_standing_pods_are_told_when_a_namespace_becomes_stricter(api: Api) -> None:
    for name in ("b", "a", "z"):
        (await api.post(PODS, pod(name, hostNetwork=name == "z"))).ok(201)
    told = warnings(await label(api, enforce="baseline"))
    assert (
        'existing pods in namespace \\"default\\" violate the new PodSecurity enforce level \\"baseline:latest\\"'
        in told
    )
    assert "z: host namespaces" in told
    told = warnings(await label(api, enforce="restricted"))
    assert (
        "a (and 1 other pod): allowPrivilegeEscalation != false, unrestricted capabilities, runAsNonRoot != true, "
        "seccompProfile"
    ) in told
    assert warnings(await label(api, enforce="baseline")) == ""  # milder again
    # Updates that do not touch what the standards are about go on.
    (await api.merge(f"{PODS}/z", {"metadata": {"labels": {"x": "y"}}})).ok()
    patch = {"spec": {"containers": [{"name": "c", "image": "other"}]}}
    changed = await api.ask("PATCH", f"{PODS}/z", patch, media="application/strategic-merge-patch+json")
    assert (changed.code, "host namespaces" in changed.message) == (403, True)


async def test_labels_nobody_understands_are_refused(api: Api) -> None:
    wrong = await label(api, enforce="strict", warn_version="1.2")
    assert (wrong.code, wrong.reason) == (422, "Invalid")
    assert wrong.message == (
        'Namespace "default" is invalid: [metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: '
        '"strict": must be one of privileged, baseline, restricted, '
        "metadata.labels[pod-security.kubernetes.io/warn-version]: "
        'Invalid value: "1.2": must be "latest" or "v1.x"]'
    )
    made = await api.post("/api/v1/namespaces", obj("Namespace", "n", labels={"pod-security.kubernetes.io/audit": "x"}))
    assert made.code == 422


async def test_defaults_and_exemptions_come_by_configuration(tmp_path) -> None:
    path = tmp_path / "admission.yaml"
    path.write_text("""
apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
- name: PodSecurity
  configuration:
    apiVersion: pod-security.admission.config.k8s.io/v1
    kind: PodSecurityConfiguration
    defaults: {enforce: baseline, enforce-version: latest}
    exemptions: {usernames: [boss], namespaces: [free], runtimeClasses: [kata]}
""")
    async for world in running(admission_control_config_file=path, authorization_mode=("AlwaysAllow",)):
        api = world.admin
        bad = pod("a", hostNetwork=True)
        assert (await api.post(PODS, bad)).code == 403
        assert (await world.as_user("boss").post(PODS, bad)).code == 201
        made = await api.post("/api/v1/namespaces", obj("Namespace", "free", labels={
            "pod-security.kubernetes.io/enforce": "restricted"}))  # fmt: skip
        assert warnings(made) == (
            '299 - "namespace \\"free\\" is exempt from Pod Security, and the policy (enforce=restricted:latest) will '
            'be ignored"'
        )
        (await api.post("/api/v1/namespaces/free/serviceaccounts", obj("ServiceAccount", "default"))).ok(201)
        assert (await api.post("/api/v1/namespaces/free/pods", bad)).code == 201
        runtime = obj("RuntimeClass", "kata", "node.k8s.io/v1", handler="kata")
        (await api.post("/apis/node.k8s.io/v1/runtimeclasses", runtime)).ok(201)
        assert (await api.post(PODS, pod("k", hostNetwork=True, runtimeClassName="kata"))).code == 201


def test_a_wrong_configuration_is_refused_by_field() -> None:
    with pytest.raises(ValueError, match=r"defaults\.warn: 'hard' must be one of privileged, baseline, restricted"):
        PodSecuritySettings.from_configuration({"defaults": {"warn": "hard"}})
    with pytest.raises(ValueError, match=r"defaults\.audit-version"):
        PodSecuritySettings.from_configuration({"defaults": {"audit-version": "1"}})


async def test_the_cost_where_nothing_is_asked_is_a_look_up(world: World) -> None:
    from kaa.base.clock import REAL

    plugin = next(each for each in world.server.parts.admission.plugins if each.name == "PodSecurity")
    from kaa.server.admission.api import Attributes
    from kaa.server.request import User

    spec = world.server.parts.registry.get("", "v1", "pods")
    assert spec is not None
    attributes = Attributes("CREATE", spec, "default", "a", "", pod("a"), None, User("u"))
    best = 1.0
    for _ in range(5):
        begun = REAL.monotonic()
        for _ in range(2000):
            plugin.validate(attributes)
        best = min(best, (REAL.monotonic() - begun) / 2000)
    assert best < 20e-6  # about 1 µs; the bound only catches a plugin that decodes
