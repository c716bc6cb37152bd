"""Which checks hold at which level and version. A check may replace a milder one of baseline."""

from functools import lru_cache
from typing import Any

from kaa.server.admission.podsecurity import baseline, restricted
from kaa.server.admission.podsecurity.found import Check, Finding
from kaa.server.admission.podsecurity.policy import LATEST, Level

__all__ = ["MINOR_MAX", "checks", "evaluate"]

Json = dict[str, Any]

#: The newest version of the standards; "latest" and later versions are this one.
MINOR_MAX = 36

_SAFE_27 = ("net.ipv4.ip_local_reserved_ports",)
_SAFE_29 = (*_SAFE_27, "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
            "net.ipv4.tcp_keepalive_probes")  # fmt: skip
_SAFE_32 = (*_SAFE_29, "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem")

#: By name, in the order in which findings are told: (since which minor version, the check), oldest first.
BASELINE: dict[str, tuple[tuple[int, Check], ...]] = {
    "appArmorProfile": ((0, baseline.app_armor),),
    "capabilities_baseline": ((0, baseline.capabilities),),
    "hostNamespaces": ((0, baseline.host_namespaces),),
    "hostPathVolumes": ((0, baseline.host_path_volumes),),
    "hostPorts": ((0, baseline.host_ports),),
    "hostProbesAndHostLifecycle": ((34, baseline.host_probes),),
    "privileged": ((0, baseline.privileged),),
    "procMount": ((0, baseline.proc_mount), (35, baseline.proc_mount_relaxed)),
    "seLinuxOptions": ((0, baseline.se_linux()), (31, baseline.se_linux("container_engine_t"))),
    "seccompProfile_baseline": ((0, baseline.seccomp_annotations), (19, baseline.seccomp)),
    "sysctls": ((0, baseline.sysctls()), (27, baseline.sysctls(*_SAFE_27)), (29, baseline.sysctls(*_SAFE_29)),
                (32, baseline.sysctls(*_SAFE_32))),
    "windowsHostProcess": ((0, baseline.windows_host_process),),
}  # fmt: skip
RESTRICTED: dict[str, tuple[tuple[int, Check], ...]] = {
    "allowPrivilegeEscalation": ((8, restricted.no_escalation),
                                 (25, restricted.not_on_windows(restricted.no_escalation))),
    "capabilities_restricted": ((22, restricted.capabilities),
                                (25, restricted.not_on_windows(restricted.capabilities))),
    "procMount_restricted": ((35, baseline.proc_mount),),
    "restrictedVolumes": ((0, restricted.volumes),),
    "runAsNonRoot": ((0, restricted.run_as_non_root), (35, restricted.not_with_own_users(restricted.run_as_non_root))),
    "runAsUser": ((23, restricted.run_as_user), (35, restricted.not_with_own_users(restricted.run_as_user))),
    "seccompProfile_restricted": ((19, restricted.seccomp_set),
                                  (25, restricted.not_on_windows(restricted.seccomp_set))),
}  # fmt: skip
#: What of baseline a restricted check says better.
REPLACES = {
    "capabilities_restricted": "capabilities_baseline", "procMount_restricted": "procMount",
    "restrictedVolumes": "hostPathVolumes", "seccompProfile_restricted": "seccompProfile_baseline",
}  # fmt: skip


def _at(versions: tuple[tuple[int, Check], ...], minor: int) -> Check | None:
    found = None
    for since, check in versions:
        if since <= minor:
            found = check
    return found


@lru_cache(maxsize=512)
def checks(level: Level, version: str) -> tuple[Check, ...]:
    """The checks of a level at a version ("latest" or "v1.N"), in the order of their findings."""
    if level == "privileged":
        return ()
    minor = MINOR_MAX if version == LATEST else min(int(version.removeprefix("v1.")), MINOR_MAX)
    strict = {name: check for name, versions in RESTRICTED.items() if (check := _at(versions, minor)) is not None}
    if level == "baseline":
        strict = {}
    replaced = {REPLACES.get(name) for name in strict}
    mild = [check for name, versions in BASELINE.items()
            if name not in replaced and (check := _at(versions, minor)) is not None]  # fmt: skip
    return (*mild, *strict.values())


def evaluate(level: Level, version: str, annotations: Json, spec: Json) -> list[Finding]:
    """Everything a policy forbids of a pod."""
    return [found for check in checks(level, version) if (found := check(annotations, spec)) is not None]
