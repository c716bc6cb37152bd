"""The EncryptionConfiguration file: which resources are encrypted, how, and with which keys."""

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from kaa.base.lazy import Lazy
from kaa.meta.problems import Path, Problem, invalid, required
from kaa.server.encryption.transformers import AesCbc, AesGcm, Identity, Keyed, Provider, Sealer, Secretbox, Transformer

yaml = Lazy("yaml")

__all__ = ["EncryptionConfig", "EncryptionConfigError", "load", "parse"]

Json = dict[str, Any]

API_VERSION, KIND = "apiserver.config.k8s.io/v1", "EncryptionConfiguration"
FILE_BYTES_MAX = 1024 * 1024
AES_SIZES, SECRETBOX_SIZES = (16, 24, 32), (32,)
#: Provider -> what its values begin with, what the original calls it in errors, what encrypts, sizes of its keys.
_KEYED: dict[str, tuple[str, str, Callable[[bytes], Sealer], tuple[int, ...]]] = {
    "aesgcm": ("k8s:enc:aesgcm:v1:", "AES", AesGcm, AES_SIZES),
    "aescbc": ("k8s:enc:aescbc:v1:", "AES", AesCbc, AES_SIZES),
    "secretbox": ("k8s:enc:secretbox:v1:", "Secretbox", Secretbox, SECRETBOX_SIZES),
}
_PROVIDERS = (*_KEYED, "identity")
_NO_API = ("apiserveripinfo", "serviceipallocations", "servicenodeportallocations")

Group = tuple[str, str]
"""(group, plural of the resource); "*" stands for any."""


class EncryptionConfigError(ValueError):
    """The file can't be used; the text says what to mend. It never shows a key."""


@dataclass(frozen=True)
class EncryptionConfig:
    """What a file says. `hash` tells one version of it from the next, as the original's metrics do."""

    transformers: Mapping[Group, Transformer]
    hash: str

    def of(self, group: str, plural: str) -> Transformer:
        """For a resource: its own entry, that of its group (`*.apps`, `*.`), that of everything (`*.*`); where there is
        none, values are stored as they are, and encrypted ones are not understood."""
        found = self.transformers
        return found.get((group, plural)) or found.get((group, "*")) or found.get(("*", "*")) or NO_ENCRYPTION

    def check(self) -> str:
        """What keeps values from being encrypted and read back; "" when nothing does."""
        for (group, plural), transformer in self.transformers.items():
            key = f"/registry/{plural}.{group}/check"
            try:
                if transformer.open(transformer.seal(b"check", key), key) != b"check":
                    return f"{plural}.{group}: a value came back another than it was"
            except Exception as error:
                return f"{plural}.{group}: {error}"
        return ""


NO_ENCRYPTION = Transformer([Identity()])


def load(path: FilePath) -> EncryptionConfig:
    """Read the file. Raises EncryptionConfigError with every problem of it."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise EncryptionConfigError(
            f'error opening encryption provider configuration file "{path}": {error.strerror}'
        ) from error
    if not raw:
        raise EncryptionConfigError(f'encryption provider configuration file "{path}" is empty')
    if len(raw) > FILE_BYTES_MAX:
        raise EncryptionConfigError(f'encryption provider configuration file "{path}" is over {FILE_BYTES_MAX} bytes')
    try:
        return parse(raw)
    except EncryptionConfigError as error:
        raise EncryptionConfigError(f'invalid encryption provider configuration file "{path}": {error}') from error


def parse(raw: bytes) -> EncryptionConfig:
    """From the contents of a file. Raises EncryptionConfigError."""
    try:
        document = yaml.safe_load(raw)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        # The error's own text may quote a line of the file, and with it a key.
        mark = getattr(error, "problem_mark", None)
        raise EncryptionConfigError(f"it is not YAML{f' (line {mark.line + 1})' if mark else ''}") from error
    if not isinstance(document, dict):
        raise EncryptionConfigError("it must be a mapping with apiVersion, kind and resources")
    if (document.get("apiVersion"), document.get("kind")) != (API_VERSION, KIND):
        raise EncryptionConfigError(
            f"it is a {document.get('kind')!r} of {document.get('apiVersion')!r}: write kind {KIND}, "
            f"apiVersion {API_VERSION}"
        )
    problems = [*_unknown(document), *_validate(document)]
    if problems:
        text = ", ".join(map(str, problems))
        raise EncryptionConfigError(text if len(problems) == 1 else f"[{text}]")
    return EncryptionConfig(_transformers(document), hashlib.sha256(raw).hexdigest())


# --- rules, in the wording of the original


def _unknown(document: Json) -> Iterator[Problem]:
    """Fields that nothing reads: a misspelled one must not leave data in the clear."""
    if not isinstance(document.get("resources") or [], list):
        yield invalid(Path("resources"), OMITTED_VALUE, "must be a list")
        return
    yield from _extra(document, ("apiVersion", "kind", "resources"), Path())
    for at, entry in enumerate(document.get("resources") or ()):
        here = Path("resources")[at]
        if not isinstance(entry, dict):
            yield invalid(here, OMITTED_VALUE, "must be a mapping with resources and providers")
            continue
        yield from _extra(entry, ("resources", "providers"), here)


def _extra(part: Json, known: Sequence[str], path: Path) -> Iterator[Problem]:
    for name in part:
        if name not in known:
            yield invalid(path / str(name), OMITTED_VALUE, f"unknown field; there are {', '.join(known)}")


OMITTED_VALUE = "REDACTED"


def _validate(document: Json) -> Iterator[Problem]:
    root = Path("resources")
    entries = document.get("resources")
    if not entries:
        yield required(root, "at least one resources is required")
        return
    for at, entry in enumerate(entries if isinstance(entries, list) else ()):
        if not isinstance(entry, dict):
            continue
        names, providers = entry.get("resources") or [], entry.get("providers") or []
        r, p = root[at] / "resources", root[at] / "providers"
        if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
            yield invalid(r, OMITTED_VALUE, "must be a list of names such as secrets or deployments.apps")
            names = []
        elif not names:
            yield required(r, f"at least one {r} is required")
        yield from _overlaps(names, r)
        for index, name in enumerate(names):
            yield from _resource_name(name, r[index])
        if not isinstance(providers, list) or not providers:
            yield required(p, f"at least one {p} is required")
            continue
        for index, provider in enumerate(providers):
            yield from _provider(provider, p[index])


def _parsed(name: str) -> Group:
    plural, _, group = name.partition(".")
    return group, plural


def _overlaps(names: Sequence[str], path: Path) -> Iterator[Problem]:
    parsed = [_parsed(each) for each in names]
    if len(set(parsed)) < len(parsed):
        yield invalid(path, list(names), "the same resource cannot be specified multiple times")
    for i, one in enumerate(parsed):
        for j, other in enumerate(parsed):
            if i != j and one != other and (one == ("*", "*") or (one[0] == other[0] and "*" in (one[1], other[1]))):
                yield invalid(
                    path, list(names),
                    "using overlapping resources such as 'secrets' and '*.' in the same resource list is not allowed "
                    "as they will be masked",
                )  # fmt: skip
                return


def _resource_name(name: str, path: Path) -> Iterator[Problem]:
    group, plural = _parsed(name)
    wrong = ""
    if name.lower() != name:
        wrong = "resource name should not contain capital letters"
    elif name == "*":
        wrong = "use '*.' to encrypt all the resources from core API group or *.* to encrypt all resources"
    elif name in _NO_API:
        wrong = "resources which do not have REST API/s cannot be encrypted"
    elif group == "events.k8s.io":
        wrong = (
            "'*.events.k8s.io' objects are stored using the 'events' API group in etcd. "
            "Use 'events' instead in the config file"
        )
    elif group == "extensions":
        wrong = "'extensions' group has been removed and cannot be used for encryption"
    elif group == "*" and plural != "*":
        wrong = "encrypting the same resource across groups is not supported"
    if wrong:
        yield invalid(path, name, wrong)


def _provider(provider: Any, path: Path) -> Iterator[Problem]:
    given = [name for name, value in provider.items() if value is not None] if isinstance(provider, dict) else []
    if "kms" in given:
        yield invalid(
            path / "kms", OMITTED_VALUE,
            "kms is not served by this release: use aesgcm or secretbox with a key in this file",
        )  # fmt: skip
        return
    found = [name for name in given if name in _PROVIDERS]
    if not found:
        yield invalid(
            path, OMITTED_VALUE,
            "provider does not contain any of the expected providers: KMS, AESGCM, AESCBC, Secretbox, Identity",
        )  # fmt: skip
        return
    if len(given) > 1:
        yield invalid(
            path, OMITTED_VALUE,
            "more than one provider specified in a single element, should split into different list elements",
        )  # fmt: skip
        return
    name = found[0]
    if name == "identity":
        return
    part, keys = provider[name], path / name / "keys"
    listed = part.get("keys") if isinstance(part, dict) else None
    if not isinstance(listed, list) or not listed:
        yield required(keys, "at least one keys is required")
        return
    for at, key in enumerate(listed):
        yield from _key(key, keys[at], _KEYED[name][3])


def _key(key: Any, path: Path, sizes: Sequence[int]) -> Iterator[Problem]:
    key = key if isinstance(key, dict) else {}
    name, secret = key.get("name"), key.get("secret")
    if not name or not isinstance(name, str):
        yield required(path / "name", "name is a mandatory field for a key")
    if not secret or not isinstance(secret, str):
        yield required(path / "secret", "secret is a mandatory field for a key")
        return
    raw = _secret(secret)
    if raw is None:
        yield invalid(path / "secret", OMITTED_VALUE, "secrets must be base64 encoded")
    elif len(raw) not in sizes:
        listing = " ".join(map(str, sizes))
        yield invalid(
            path / "secret", OMITTED_VALUE,
            f"secret is not of the expected length, got {len(raw)}, expected one of [{listing}]",
        )  # fmt: skip


def _secret(text: str) -> bytes | None:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return None


# --- what it comes to


def _transformers(document: Json) -> dict[Group, Transformer]:
    listed: dict[Group, list[Provider]] = {}
    for entry in document["resources"]:
        providers = [_made(each) for each in entry["providers"]]
        for name in entry["resources"]:
            group = _parsed(name)
            if ((group[0], "*") in listed and group[1] != "*") or ("*", "*") in listed:
                continue  # an entry further up speaks for all of the group: this one is masked by it
            listed.setdefault(group, []).extend(providers)
    return {group: Transformer(providers) for group, providers in listed.items()}


def _made(provider: Json) -> Provider:
    name = next(name for name, value in provider.items() if value is not None)
    if name == "identity":
        return Identity()
    prefix, what, sealer, _ = _KEYED[name]
    return Keyed(
        prefix, what, [(each["name"], sealer(_secret(each["secret"]) or b"")) for each in provider[name]["keys"]]
    )
