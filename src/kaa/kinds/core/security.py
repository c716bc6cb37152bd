"""What is validated of security contexts, of pods and of containers, and of what an operating system can't do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kaa.kinds.core.paths import local_path
from kaa.meta import names
from kaa.meta.problems import (
    Path,
    Problem,
    duplicate,
    forbidden_field,
    invalid,
    not_supported,
    required,
    too_long,
)

__all__ = ["all_containers", "validate_container_security", "validate_os", "validate_pod_security"]

Json = dict[str, Any]

PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")
ID_MAX = 0x7FFFFFFF
_SYSCTL_SEGMENT = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SYSCTL = rf"^({_SYSCTL_SEGMENT}[\./])*{_SYSCTL_SEGMENT}$"
_SYSCTL_FITS = re.compile(_SYSCTL).match
_SYSCTL_LENGTH_MAX = 253
#: Kernel parameters that are a namespace's own, by their beginning.
_IPC_SYSCTLS = ("fs.mqueue.", "kernel.sem", "kernel.shm", "kernel.msg")


def all_containers(spec: Json, path: Path) -> Iterator[tuple[Json, Path]]:
    """Every container of a pod with its path, in the order in which the original visits them."""
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for at, container in enumerate(spec.get(kind) or ()):
            yield container, (path / kind)[at]


def _ids(context: Json, fields: tuple[str, ...], path: Path) -> Iterator[Problem]:
    for name in fields:
        value = context.get(name)
        if value is not None and not 0 <= value <= ID_MAX:
            yield invalid(path / name, value, f"must be between 0 and {ID_MAX}, inclusive")


def _one_of(context: Json, name: str, allowed: tuple[str, ...], path: Path) -> Iterator[Problem]:
    value = context.get(name)
    if value is not None and value not in allowed:
        yield not_supported(path / name, value, allowed)


def validate_pod_security(context: Json, spec: Json, path: Path) -> Iterator[Problem]:
    """The security context of a pod."""
    yield from _ids(context, ("fsGroup", "runAsUser", "runAsGroup"), path)
    for at, value in enumerate(context.get("supplementalGroups") or ()):
        if not 0 <= value <= ID_MAX:
            yield invalid((path / "supplementalGroups")[at], value, f"must be between 0 and {ID_MAX}, inclusive")
    if context.get("sysctls"):
        yield from _sysctls(context["sysctls"], spec, path / "sysctls")
    yield from _one_of(context, "fsGroupChangePolicy", ("Always", "OnRootMismatch"), path)
    yield from _seccomp(context, path)
    yield from _windows_options(context, path)
    yield from _app_armor(context, path)
    yield from _one_of(context, "supplementalGroupsPolicy", ("Merge", "Strict"), path)
    yield from _one_of(context, "seLinuxChangePolicy", ("MountOption", "Recursive"), path)


def _sysctls(found: list[Json], spec: Json, path: Path) -> Iterator[Problem]:
    seen: set[str] = set()
    for at, sysctl in enumerate(found):
        name = sysctl.get("name", "")
        here = path[at] / "name"
        if not name:
            yield required(here)
        elif len(name) > _SYSCTL_LENGTH_MAX or not _SYSCTL_FITS(name):
            yield invalid(here, name, f"must have at most {_SYSCTL_LENGTH_MAX} characters and match regex {_SYSCTL}")
        elif name in seen:
            yield duplicate(here, name)
        seen.add(name)
        dotted = name.replace("/", ".")
        if spec.get("hostNetwork") and dotted.startswith("net."):
            yield invalid(here, name, "may not be specified when 'hostNetwork' is true")
        elif spec.get("hostIPC") and dotted.startswith(_IPC_SYSCTLS):
            yield invalid(here, name, "may not be specified when 'hostIPC' is true")


def validate_container_security(context: Json, path: Path, *, host_users: bool) -> Iterator[Problem]:
    """The security context of a container. `host_users`: the pod has the node's users, not its own."""
    yield from _ids(context, ("runAsUser", "runAsGroup"), path)
    mount = context.get("procMount")
    if mount is not None:
        yield from _one_of(context, "procMount", ("Default", "Unmasked"), path)
        if mount == "Unmasked" and host_users:
            yield invalid(path / "procMount", mount, "`hostUsers` must be false to use `Unmasked`")
    yield from _seccomp(context, path)
    if context.get("allowPrivilegeEscalation") is False:
        if context.get("privileged"):
            yield invalid(path, context, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true")
        for each in (context.get("capabilities") or {}).get("add") or ():
            if each == "CAP_SYS_ADMIN":
                yield invalid(
                    path, context, "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
                )
    yield from _windows_options(context, path)
    yield from _app_armor(context, path)


def _seccomp(context: Json, path: Path) -> Iterator[Problem]:
    profile = context.get("seccompProfile")
    if profile is None:
        return
    here = path / "seccompProfile"
    kind, local = profile.get("type", ""), profile.get("localhostProfile")
    if not kind:
        yield required(here / "type", "type is required when seccompProfile is set")
    elif kind not in PROFILES:
        yield not_supported(here / "type", kind, PROFILES)
    if kind != "Localhost":
        if local is not None:
            yield invalid(here / "localhostProfile", profile, "can only be set when seccomp type is Localhost")
    elif local is None:
        yield required(here / "localhostProfile", "must be set when seccomp type is Localhost")
    else:
        yield from local_path(local, here / "localhostProfile")


def _app_armor(context: Json, path: Path) -> Iterator[Problem]:
    profile = context.get("appArmorProfile")
    if profile is None:
        return
    here = path / "appArmorProfile"
    kind, local = profile.get("type", ""), profile.get("localhostProfile")
    if not kind:
        yield required(here / "type", "type is required when appArmorProfile is set")
    elif kind not in PROFILES:
        yield not_supported(here / "type", kind, PROFILES)
    elif kind != "Localhost":
        if local is not None:
            yield invalid(here / "localhostProfile", local, "can only be set when AppArmor type is Localhost")
    elif not local:
        yield required(here / "localhostProfile", "must be set when AppArmor type is Localhost")
    else:
        if local.strip() != local:
            yield invalid(here / "localhostProfile", local, "must not be padded with whitespace")
        if len(local) > 4095:  # the longest path, without its end
            yield too_long(here / "localhostProfile", 4095)


# -- Windows

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NETBIOS = re.compile(r'[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}\Z')
_DNS = re.compile(
    r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*\Z"
)
_DOTS_SPACES = re.compile(r"[. ]+\Z")
_BAD_USER = re.compile(r'["/\\:;|=,+*?<>@\[\]]')
_SPEC_KIB_MAX = 64


def _windows_options(context: Json, path: Path) -> Iterator[Problem]:
    options = context.get("windowsOptions")
    if not options:
        return
    here = path / "windowsOptions"
    name, spec, user = (options.get(each) for each in ("gmsaCredentialSpecName", "gmsaCredentialSpec", "runAsUserName"))
    if name is not None:
        for wrong in names.dns1123_subdomain(name):
            yield invalid(here / "gmsaCredentialSpecName", name, wrong)
    if spec == "":
        yield invalid(here / "gmsaCredentialSpec", spec, "gmsaCredentialSpec cannot be an empty string")
    elif spec is not None and len(spec) > _SPEC_KIB_MAX * 1024:
        yield invalid(here / "gmsaCredentialSpec", spec, f"gmsaCredentialSpec size must be under {_SPEC_KIB_MAX} KiB")
    if user is not None:
        for wrong in _windows_user(user):
            yield invalid(here / "runAsUserName", user, f"runAsUserName{wrong}")


def _windows_user(whole: str) -> Iterator[str]:
    """What is wrong with `DOMAIN\\user`, to follow the field's name."""
    if not whole:
        yield " cannot be an empty string"
    elif _CONTROL.search(whole):
        yield " cannot contain control characters"
    elif whole.count("\\") > 1:
        yield " cannot contain more than one backslash"
    else:
        domain, backslash, user = whole.rpartition("\\")
        if len(domain) >= 256:
            yield "'s Domain length must be under 256 characters"
        if backslash and not (_NETBIOS.match(domain) or _DNS.match(domain)):
            yield "'s Domain doesn't match the NetBios nor the DNS format"
        if not user:
            yield "'s User cannot be empty"
        elif len(user) > 104:
            yield "'s User length must not be longer than 104 characters"
        if _DOTS_SPACES.match(user):
            yield "'s User cannot contain only periods or spaces"
        if _BAD_USER.search(user):
            yield "'s User cannot contain the following characters: \"/\\:;|=,+*?<>@[]"


def has_windows_options(spec: Json) -> bool:
    """Whether anything of a pod is meant for Windows."""
    if "windowsOptions" in (spec.get("securityContext") or ()):
        return True
    for kind in ("containers", "initContainers", "ephemeralContainers"):
        for container in spec.get(kind) or ():
            if "windowsOptions" in (container.get("securityContext") or ()):
                return True
    return False


def validate_host_process(spec: Json, path: Path) -> Iterator[Problem]:
    """Containers that are processes of a Windows node: all of a pod's, or none."""

    def of(holder: Json) -> bool | None:
        found: bool | None = ((holder.get("securityContext") or {}).get("windowsOptions") or {}).get("hostProcess")
        return found

    whole = of(spec)
    count = host = 0
    for container, here in all_containers(spec, path):
        count += 1
        own = of(container)
        if whole is not None and own is not None and whole != own:
            yield invalid(
                here / "securityContext" / "windowsOptions" / "hostProcess",
                own,
                f"pod hostProcess value must be identical if both are specified, was {str(whole).lower()}",
            )
        host += bool(whole if own is None else own)
    if host:
        if host != count:
            yield invalid(
                path,
                "",
                "If pod contains any hostProcess containers then all containers must be HostProcess containers",
            )
        if not spec.get("hostNetwork"):
            yield invalid(
                path / "hostNetwork", False, "hostNetwork must be true if pod contains any hostProcess containers"
            )


_WINDOWS_POD = (
    "appArmorProfile", "seLinuxOptions", "/hostUsers", "/hostPID", "/hostIPC", "seccompProfile", "fsGroup",
    "fsGroupChangePolicy", "sysctls", "/shareProcessNamespace", "runAsUser", "runAsGroup", "supplementalGroups",
    "supplementalGroupsPolicy", "seLinuxChangePolicy",
)  # fmt: skip
_WINDOWS_CONTAINER = (
    "appArmorProfile", "seLinuxOptions", "seccompProfile", "capabilities", "readOnlyRootFilesystem", "privileged",
    "allowPrivilegeEscalation", "procMount", "runAsUser", "runAsGroup",
)  # fmt: skip


def validate_os(spec: Json, path: Path) -> Iterator[Problem]:
    """What a pod for one operating system may not ask for."""
    name = spec["os"].get("name", "")
    if not name:
        yield required(path / "os" / "name", "cannot be empty")
    elif name not in ("linux", "windows"):
        yield not_supported(path / "os", name, ("linux", "windows"))
    context = spec.get("securityContext") or {}
    if name == "linux":
        for holder, here in ((spec, path), *all_containers(spec, path)):
            if (holder.get("securityContext") or {}).get("windowsOptions") is not None:
                yield forbidden_field(
                    here / "securityContext" / "windowsOptions", "windows options cannot be set for a linux pod"
                )
    elif name == "windows":
        text = "cannot be set for a windows pod"
        for field in _WINDOWS_POD:
            if field[0] == "/":
                value = spec.get(field[1:])
                if value or (value is False and field in ("/hostUsers", "/shareProcessNamespace")):
                    yield forbidden_field(path / field[1:], text)
            elif context.get(field) is not None:
                yield forbidden_field(path / "securityContext" / field, text)
        for container, here in all_containers(spec, path):
            own = container.get("securityContext") or {}
            for field in _WINDOWS_CONTAINER:
                if own.get(field) is not None:
                    yield forbidden_field(here / "securityContext" / field, text)
