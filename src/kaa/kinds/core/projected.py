"""What is validated of files in volumes: keys and the paths they get, modes, and volumes projected from several."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from kaa.kinds import checks
from kaa.kinds.core.environment import VOLUME_FIELD_PATHS, validate_field_ref, validate_resource_ref
from kaa.kinds.core.paths import local_path
from kaa.meta import names
from kaa.meta.problems import Path, Problem, forbidden_field, invalid, not_supported, required

__all__ = ["key_paths", "mode_problem", "validate_downward_file", "validate_projected"]

Json = dict[str, Any]

KEY_TYPES = ("ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519", "RSA3072", "RSA4096")
TOKEN_SECONDS_MIN = 600
CERTIFICATE_SECONDS_MIN = 3600
#: 91 days; signers of the cluster itself: one day.
CERTIFICATE_SECONDS_MAX = 91 * 86400
CERTIFICATE_SECONDS_MAX_OWN = 86400
_CONFLICT = "conflicting duplicate paths"


def mode_problem(source: Json, field: str, path: Path) -> Iterator[Problem]:
    """Permission bits, which may be absent."""
    mode = source.get(field)
    if mode is not None and not 0 <= mode <= 0o777:
        yield invalid(path / field, mode, "must be a number between 0 and 0777 (octal), both inclusive")


def key_paths(items: list[Json], path: Path) -> Iterator[Problem]:
    """Which key becomes which file."""
    for at, item in enumerate(items):
        yield from _key_path(item, path[at])


def _key_path(item: Json, path: Path) -> Iterator[Problem]:
    if not item.get("key"):
        yield required(path / "key")
    if not item.get("path"):
        yield required(path / "path")
    else:
        yield from local_path(item["path"], path / "path", reserved=True)
    yield from mode_problem(item, "mode", path)


def validate_downward_file(item: Json, path: Path) -> Iterator[Problem]:
    """A file that says something of the pod itself."""
    if not item.get("path"):
        yield required(path / "path")
    else:
        yield from local_path(item["path"], path / "path", reserved=True)
    if "fieldRef" in item:
        yield from validate_field_ref(item["fieldRef"], path / "fieldRef", VOLUME_FIELD_PATHS)
        if "resourceFieldRef" in item:
            yield invalid(path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously")
    elif "resourceFieldRef" in item:
        yield from validate_resource_ref(item["resourceFieldRef"], path / "resourceFieldRef", volume=True)
    else:
        yield required(path, "one of fieldRef and resourceFieldRef is required")
    yield from mode_problem(item, "mode", path)


def validate_projected(source: Json, path: Path) -> Iterator[Problem]:
    """Several sources as one directory. What they share, paths of files, is told of the whole volume."""
    yield from mode_problem(source, "defaultMode", path)
    taken: set[str] = set()
    for at, each in enumerate(source.get("sources") or ()):
        here = (path / "sources")[at]
        for kind in each if len(each) == 1 else [kind for kind in _PROJECTIONS if kind in each]:
            yield from _PROJECTIONS[kind](each[kind], here / kind, path, taken)
        if len(each) > 1:
            yield forbidden_field(here, "may not specify more than 1 volume type per source")


def _take(name: str, taken: set[str], said: str, volume: Path) -> Iterator[Problem]:
    if name in taken:
        yield invalid(volume, said, _CONFLICT)
    taken.add(name)


def _keys(source: Json, path: Path, volume: Path, taken: set[str]) -> Iterator[Problem]:
    name = source.get("name", "")
    if not name:
        yield required(path / "name")
    for at, item in enumerate(source.get("items") or ()):
        yield from _key_path(item, (path / "items")[at])
        if item.get("path"):
            yield from _take(item["path"], taken, name, volume)


def _downward(source: Json, path: Path, volume: Path, taken: set[str]) -> Iterator[Problem]:
    for item in source.get("items") or ():
        yield from validate_downward_file(item, path)
        if item.get("path"):
            yield from _take(item["path"], taken, item["path"], volume)


def _token(source: Json, path: Path, volume: Path, _taken: set[str]) -> Iterator[Problem]:
    seconds = source.get("expirationSeconds", 0)
    if seconds < TOKEN_SECONDS_MIN:
        yield invalid(path / "expirationSeconds", seconds, "may not specify a duration less than 10 minutes")
    if seconds > 1 << 32:
        yield invalid(path / "expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds")
    # The original tells of the token's path as the volume's.
    if not source.get("path"):
        yield required(volume / "path")
    else:
        yield from local_path(source["path"], volume / "path", reserved=True)


def _bundle(source: Json, path: Path, volume: Path, taken: set[str]) -> Iterator[Problem]:
    name, signer, selector = source.get("name"), source.get("signerName"), source.get("labelSelector")
    if name is not None and signer is not None:
        yield invalid(path, source, "only one of name and signerName may be used")
    elif name is not None:
        if not name:
            yield required(path / "name", "must be a valid object name")
        for wrong in _bundle_name(name):
            yield invalid(path / "name", name, f"not a valid clustertrustbundlename: {wrong}")
        if selector is not None:
            yield invalid(path / "labelSelector", selector, "labelSelector must be unset if name is specified")
    elif signer is not None:
        if not signer:
            yield required(path / "signerName", "must be a valid signer name")
        yield from checks.signer_name(signer, path / "signerName")
        yield from checks.label_selector(selector, path / "labelSelector")
    else:
        yield required(path, "either name or signerName must be specified")
    place = source.get("path", "")
    if not place:
        yield required(path / "path")
    yield from local_path(place, path / "path", reserved=True)
    yield from _take(place, taken, place, volume)


def _bundle_name(name: str) -> tuple[str, ...]:
    """A bundle of a signer is named after it (`example.com:signer:one`), others are named as objects are."""
    parts = name.split(":")
    if len(parts) == 3:
        return names.dns1123_subdomain(parts[2])
    if ":" in name:
        return ('ClusterTrustBundle without signer name must not have ":" in its name',)
    return names.dns1123_subdomain(name)


def _certificate(source: Json, path: Path, volume: Path, taken: set[str]) -> Iterator[Problem]:
    signer, kind = source.get("signerName", ""), source.get("keyType", "")
    yield from checks.signer_name(signer, path / "signerName")
    if kind not in KEY_TYPES:
        yield not_supported(path / "keyType", kind, KEY_TYPES)
    seconds = source.get("maxExpirationSeconds")
    if seconds is not None:
        own = signer.startswith("kubernetes.io/")
        most = CERTIFICATE_SECONDS_MAX_OWN if own else CERTIFICATE_SECONDS_MAX
        for wrong in (
            *((f">= {CERTIFICATE_SECONDS_MIN}",) if seconds < CERTIFICATE_SECONDS_MIN else ()),
            *((f"<= {most}",) if seconds > most else ()),
        ):
            yield invalid(path / "maxExpirationSeconds", seconds, f"if provided, maxExpirationSeconds must be {wrong}")
    places = 0
    for field in ("credentialBundlePath", "keyPath", "certificateChainPath"):
        place = source.get(field)
        if place:
            places += 1
            yield from local_path(place, path / field, reserved=True)
            yield from _take(place, taken, place, volume)
    if not places:
        yield required(path, "specify at least one of credentialBundlePath, keyPath, and certificateChainPath")


_PROJECTIONS: dict[str, Callable[[Json, Path, Path, set[str]], Iterator[Problem]]] = {
    "secret": _keys,
    "configMap": _keys,
    "downwardAPI": _downward,
    "serviceAccountToken": _token,
    "clusterTrustBundle": _bundle,
    "podCertificate": _certificate,
}
