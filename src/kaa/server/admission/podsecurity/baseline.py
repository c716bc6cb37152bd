"""The controls of the baseline level: known ways to gain more than a container's rights."""

from typing import Any

from kaa.server.admission.podsecurity.found import (
    Check,
    Finding,
    containers,
    named,
    plural,
    quoted,
    security,
    setters,
)

__all__ = [
    "app_armor", "capabilities", "host_namespaces", "host_path_volumes", "host_ports", "host_probes", "privileged",
    "proc_mount", "proc_mount_relaxed", "se_linux", "seccomp", "seccomp_annotations", "sysctls", "windows_host_process",
]  # fmt: skip

Json = dict[str, Any]

CAPABILITIES = frozenset({
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
    "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
})  # fmt: skip
SECCOMP = ("RuntimeDefault", "Localhost")
_APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/"
_SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"


def app_armor(annotations: Json, spec: Json) -> Finding | None:
    """Profiles other than the runtime's and the node's own, in fields and in the older annotations."""

    def wrong(part: Json) -> str:
        profile = security(part).get("appArmorProfile")
        kind = str(profile.get("type", "")) if profile is not None else "Localhost"
        return "" if kind in ("RuntimeDefault", "Localhost") else kind

    pod = wrong(spec)
    bad = {each["name"]: kind for each in containers(spec) if (kind := wrong(each))}
    values = sorted({*bad.values(), *([pod] if pod else ())})
    who = [setters(bool(pod), list(bad))] if values else []
    marks = sorted(
        f'{key}="{value}"'
        for key, value in annotations.items()
        if key.startswith(_APP_ARMOR) and value and value != "runtime/default" and not value.startswith("localhost/")
    )
    if marks:
        who.append(plural("annotation", "annotations", len(marks)))
    values += marks
    if not values:
        return None
    return Finding(
        plural("forbidden AppArmor profile", "forbidden AppArmor profiles", len(values)),
        f"{' and '.join(who)} must not set AppArmor profile type to {quoted(values)}",
    )


def capabilities(_annotations: Json, spec: Json) -> Finding | None:
    """Capabilities beyond the usual ones."""
    bad, extra = [], set()
    for each in containers(spec):
        added = set((security(each).get("capabilities") or {}).get("add") or ()) - CAPABILITIES
        if added:
            bad.append(each["name"])
            extra |= added
    if not bad:
        return None
    return Finding(
        "non-default capabilities",
        f"{named(bad)} must not include {quoted(sorted(extra))} in securityContext.capabilities.add",
    )


def host_namespaces(_annotations: Json, spec: Json) -> Finding | None:
    """The node's network, process and IPC namespaces."""
    found = [field for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field)]
    return Finding("host namespaces", ", ".join(f"{field}=true" for field in found)) if found else None


def host_path_volumes(_annotations: Json, spec: Json) -> Finding | None:
    """The node's files."""
    found = [each["name"] for each in spec.get("volumes") or () if each.get("hostPath") is not None]
    if not found:
        return None
    return Finding("hostPath volumes", f"{plural('volume', 'volumes', len(found))} {quoted(found)}")


def host_ports(_annotations: Json, spec: Json) -> Finding | None:
    """The node's ports."""
    bad, ports = [], set()
    for each in containers(spec):
        theirs = {str(port["hostPort"]) for port in each.get("ports") or () if port.get("hostPort")}
        if theirs:
            bad.append(each["name"])
            ports |= theirs
    if not bad:
        return None
    uses, word = plural("uses", "use", len(bad)), plural("hostPort", "hostPorts", len(ports))
    return Finding("hostPort", f"{named(bad)} {uses} {word} {', '.join(sorted(ports))}")


def host_probes(_annotations: Json, spec: Json) -> Finding | None:
    """Probes and hooks sent to other hosts by the node."""
    bad, hosts = set(), set()
    for each in containers(spec):
        life = each.get("lifecycle") or {}
        for handler in (*(each.get(f"{kind}Probe") for kind in ("liveness", "readiness", "startup")),
                        life.get("postStart"), life.get("preStop")):  # fmt: skip
            for action in ("httpGet", "tcpSocket"):
                host = ((handler or {}).get(action) or {}).get("host")
                if host:
                    bad.add(each["name"])
                    hosts.add(host)
    if not bad:
        return None
    uses = plural("uses", "use", len(bad))
    word = plural("probe or lifecycle host", "probe or lifecycle hosts", len(hosts))
    return Finding("probe or lifecycle host", f"{named(sorted(bad))} {uses} {word} {quoted(sorted(hosts))}")


def privileged(_annotations: Json, spec: Json) -> Finding | None:
    """Containers with all of the node's rights."""
    bad = [each["name"] for each in containers(spec) if security(each).get("privileged")]
    return Finding("privileged", f"{named(bad)} must not set securityContext.privileged=true") if bad else None


def proc_mount(_annotations: Json, spec: Json) -> Finding | None:
    """A /proc without its masks."""
    bad = {each["name"]: mount for each in containers(spec)
           if (mount := security(each).get("procMount")) is not None and mount != "Default"}  # fmt: skip
    if not bad:
        return None
    values = quoted(sorted(set(bad.values())))
    return Finding("procMount", f"{named(list(bad))} must not set securityContext.procMount to {values}")


def proc_mount_relaxed(annotations: Json, spec: Json) -> Finding | None:
    """The same, but for pods with users of their own, whose root is nobody on the node."""
    return None if spec.get("hostUsers") is False else proc_mount(annotations, spec)


def se_linux(*more: str) -> Check:
    """SELinux users, roles, and types other than those of containers."""
    types = {"", "container_t", "container_init_t", "container_kvm_t", *more}

    def check(_annotations: Json, spec: Json) -> Finding | None:
        bad_types: set[str] = set()
        fields: set[str] = set()

        def wrong(part: Json) -> bool:
            options = security(part).get("seLinuxOptions") or {}
            kind = options.get("type") or ""
            if kind not in types:
                bad_types.add(kind)
            theirs = {name for name in ("user", "role") if options.get(name)}
            fields.update(theirs)
            return kind not in types or bool(theirs)

        who = setters(wrong(spec), [each["name"] for each in containers(spec) if wrong(each)])
        if not who:
            return None
        what = [f"{plural('type', 'types', len(bad_types))} {quoted(sorted(bad_types))}"] if bad_types else []
        what += [f"{name} may not be set" for name in ("user", "role") if name in fields]
        return Finding("seLinuxOptions", f"{who} set forbidden securityContext.seLinuxOptions: {'; '.join(what)}")

    return check


def seccomp_annotations(annotations: Json, spec: Json) -> Finding | None:
    """Seccomp profiles in the annotations of before v1.19."""
    keys = [_SECCOMP_POD, *(_SECCOMP_CONTAINER + each["name"] for each in containers(spec))]
    bad = sorted(
        f'{key}="{value}"'
        for key in keys
        if (value := annotations.get(key)) is not None
        and value not in ("runtime/default", "docker/default")
        and not value.startswith("localhost/")
    )
    if not bad:
        return None
    return Finding("seccompProfile", f"forbidden {plural('annotation', 'annotations', len(bad))} {', '.join(bad)}")


def seccomp(_annotations: Json, spec: Json) -> Finding | None:
    """Seccomp switched off."""

    def wrong(part: Json) -> str:
        profile = security(part).get("seccompProfile")
        kind = str(profile.get("type", "")) if profile is not None else SECCOMP[0]
        return "" if kind in SECCOMP else kind

    pod = wrong(spec)
    bad = {each["name"]: kind for each in containers(spec) if (kind := wrong(each))}
    values = sorted({*bad.values(), *([pod] if pod else ())})
    if not values:
        return None
    who = setters(bool(pod), list(bad))
    return Finding("seccompProfile", f"{who} must not set securityContext.seccompProfile.type to {quoted(values)}")


def sysctls(*more: str) -> Check:
    """Kernel settings that are not the pod's alone."""
    safe = {
        "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start", *more,
    }  # fmt: skip

    def check(_annotations: Json, spec: Json) -> Finding | None:
        bad = [each["name"] for each in security(spec).get("sysctls") or () if each["name"] not in safe]
        return Finding("forbidden sysctls", ", ".join(bad)) if bad else None

    return check


def windows_host_process(_annotations: Json, spec: Json) -> Finding | None:
    """Processes of the node itself, on Windows."""

    def wrong(part: Json) -> bool:
        return bool((security(part).get("windowsOptions") or {}).get("hostProcess"))

    who = setters(wrong(spec), [each["name"] for each in containers(spec) if wrong(each)])
    return (
        Finding("hostProcess", f"{who} must not set securityContext.windowsOptions.hostProcess=true") if who else None
    )
