"""Defaults of a pod's spec, which pods and every pod template share."""

from __future__ import annotations

from typing import Any

from kaa.meta import quantity

__all__ = ["default_pod", "default_spec", "default_template"]

Json = dict[str, Any]


def default_template(template: Json) -> None:
    """The pod template of a workload."""
    default_spec(template.setdefault("spec", {}))


def default_spec(spec: Json) -> None:
    """What a pod spec means when it does not say. In place; harmless when run again."""
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    name = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if name:
        # The older name is kept in step: clients still read it.
        spec["serviceAccountName"] = spec["serviceAccount"] = name
    spec.setdefault("securityContext", {})
    spec.setdefault("schedulerName", "default-scheduler")
    for container in spec.get("containers") or ():
        default_container(container)
    for container in spec.get("initContainers") or ():
        default_container(container)
    for container in spec.get("ephemeralContainers") or ():
        default_container(container)
    for volume in spec.get("volumes") or ():
        default_volume(volume)
    for constraint in spec.get("topologySpreadConstraints") or ():
        if "nodeAffinityPolicy" in constraint and not constraint["nodeAffinityPolicy"]:
            del constraint["nodeAffinityPolicy"]


def default_pod(spec: Json) -> None:
    """What a pod gets beyond a template: requests from limits, host ports, service links."""
    spec.setdefault("enableServiceLinks", True)
    host_network = spec.get("hostNetwork")
    for kind in ("containers", "initContainers"):
        for container in spec.get(kind) or ():
            resources = container.setdefault("resources", {})
            limits = resources.get("limits")
            if limits:
                requests = resources.setdefault("requests", {})
                for name, amount in limits.items():
                    requests.setdefault(name, amount)
            if host_network:
                for port in container.get("ports") or ():
                    if not port.get("hostPort"):
                        port["hostPort"] = port.get("containerPort", 0)
    _default_pod_requests(spec)


def default_container(container: Json) -> None:
    """One container of a pod."""
    if "imagePullPolicy" not in container:
        container["imagePullPolicy"] = "Always" if _tag(container.get("image", "")) == "latest" else "IfNotPresent"
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    container.setdefault("resources", {})
    for port in container.get("ports") or ():
        port["protocol"] = port.get("protocol") or "TCP"
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(name)
        if probe is not None:
            default_probe(probe)
    lifecycle = container.get("lifecycle")
    if lifecycle:
        for name in ("postStart", "preStop"):
            if lifecycle.get(name):
                _default_handler(lifecycle[name])
    for variable in container.get("env") or ():
        source = variable.get("valueFrom")
        if source and "fieldRef" in source:
            source["fieldRef"].setdefault("apiVersion", "v1")
        if source and "fileKeyRef" in source:
            source["fileKeyRef"].setdefault("optional", False)


def default_probe(probe: Json) -> None:
    """A liveness, readiness or startup probe."""
    probe["timeoutSeconds"] = probe.get("timeoutSeconds") or 1
    probe["periodSeconds"] = probe.get("periodSeconds") or 10
    probe["successThreshold"] = probe.get("successThreshold") or 1
    probe["failureThreshold"] = probe.get("failureThreshold") or 3
    _default_handler(probe)


def _default_handler(handler: Json) -> None:
    get = handler.get("httpGet")
    if get is not None:
        get["path"] = get.get("path") or "/"
        get["scheme"] = get.get("scheme") or "HTTP"
    if "grpc" in handler:
        handler["grpc"].setdefault("service", "")


def default_volume(volume: Json) -> None:
    """A volume of a pod; one without a source is an empty directory."""
    if len(volume) <= 1 and "name" in volume:
        volume["emptyDir"] = {}
        return
    for name in ("secret", "configMap", "downwardAPI", "projected"):
        source = volume.get(name)
        if source is not None:
            source.setdefault("defaultMode", 0o644)
    for item in volume.get("downwardAPI", {}).get("items") or ():
        _default_field_ref(item)
    for source in volume.get("projected", {}).get("sources") or ():
        if "serviceAccountToken" in source:
            token = source["serviceAccountToken"]
            token["expirationSeconds"] = token.get("expirationSeconds") or 3600
        if "podCertificate" in source:
            source["podCertificate"].setdefault("maxExpirationSeconds", 86400)
        for item in source.get("downwardAPI", {}).get("items") or ():
            _default_field_ref(item)
    host = volume.get("hostPath")
    if host is not None:
        host.setdefault("type", "")
    iscsi = volume.get("iscsi")
    if iscsi is not None:
        iscsi.setdefault("iscsiInterface", "default")
    ephemeral = volume.get("ephemeral", {}).get("volumeClaimTemplate")
    if ephemeral is not None:
        ephemeral.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
    image = volume.get("image")
    if image is not None and not image.get("pullPolicy"):
        image["pullPolicy"] = "Always" if _tag(image.get("reference", "")) == "latest" else "IfNotPresent"


def _default_field_ref(item: Json) -> None:
    if "fieldRef" in item:
        item["fieldRef"].setdefault("apiVersion", "v1")


def _default_pod_requests(spec: Json) -> None:
    """Pod-level requests from pod-level limits, and from the containers where these say more."""
    resources = spec.get("resources")
    if not resources or not resources.get("limits"):
        return
    requests = resources.setdefault("requests", {})
    for name, amount in resources["limits"].items():
        if name in requests:
            continue
        total = quantity.parse("0")
        for container in spec.get("containers") or ():
            asked = container.get("resources", {}).get("requests", {}).get(name)
            if asked is not None:
                total = total + quantity.parse(asked)
        requests[name] = str(total) if total else amount


def _tag(image: str) -> str:
    """The tag an image reference pulls; `latest` where it has neither tag nor digest."""
    if "@" in image:
        return image.partition("@")[0].rpartition("/")[2].partition(":")[2]
    return image.rpartition("/")[2].partition(":")[2] or "latest"
