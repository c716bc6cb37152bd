"""Derive `src/kaa/kinds/data/` from the published documents of one Kubernetes version.

    python tools/build_tables.py OPENAPI_DIR DISCOVERY_DIR PROTOBUF_FIELDS_JSON KUBECTL [OUT_DIR]

OPENAPI_DIR holds `swagger.json` (v2) and `v3/*.json`; DISCOVERY_DIR the discovery documents, one per file, named by
their path; KUBECTL is a kubectl binary, whose Go types tell pointers from plain fields (`tools/go_types.py`). Only
facts go out: names, types, required fields, defaults, list types, merge keys, verbs, short names, categories and
protobuf field numbers; no sentence does. The output is the same for the same input, byte by byte.

Stable versions only. The files written:

- `definitions.json`: definition -> {"fields": {name: form}, "required", "atomic", "open"}; a form is a scalar's name, a
  reference (`@definition`), or an object {"items" | "values" | "of": form, "list", "keys", "merge", "strategy",
  "default"}.
- `kinds.json`: "group/version/Kind" -> definition.
- `resources.json`: groups in the order of discovery, their versions, and what each serves.
- `protobuf.json`: message -> field -> [number, label, type, marks, JSON name]; the last two are left out where they say
  nothing. Marks: "k", a zero on the wire is kept in JSON (pointers, and fields without `omitempty`); "i", a Go struct
  that is inlined in its parent's JSON.
- `served.txt` (beside the tests): what the registry must serve, a line each.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import go_types

Json = dict[str, Any]

STABLE = re.compile(r"^v\d+$")
#: Definitions that are one scalar, or anything, on the wire.
SCALARS = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": "quantity",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time": "date-time",
    "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": "micro-time",
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "int-or-string",
    "io.k8s.apimachinery.pkg.runtime.RawExtension": "raw",
    "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1": "raw",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Patch": "raw",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON": "any",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray": "any",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool": "any",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray": "any",
}
META = "io.k8s.apimachinery.pkg.apis.meta.v1."
PLAIN = {"string", "bytes", "bool", "int32", "int64", "double"}

_EXTENSIONS = "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1."
#: Pointers of the packages whose types kubectl does not hold: read off the Go types by hand, as are the fields that are
#: gone from the kubectl at hand. A field that OpenAPI requires is written whatever it holds, so it needs no line here.
POINTERS = {
    _EXTENSIONS + "JSONSchemaProps": """ref maximum minimum maxLength minLength maxItems minItems multipleOf
        maxProperties minProperties xKubernetesPreserveUnknownFields xKubernetesListType xKubernetesMapType""",
    _EXTENSIONS + "ValidationRule": "reason optionalOldSelf",
    _EXTENSIONS + "CustomResourceDefinitionVersion": "deprecationWarning",
    _EXTENSIONS + "CustomResourceSubresourceScale": "labelSelectorPath",
    _EXTENSIONS + "ServiceReference": "path port",
    _EXTENSIONS + "WebhookClientConfig": "url",
    "k8s.io.kube_aggregator.pkg.apis.apiregistration.v1.ServiceReference": "port",
    "k8s.io.api.resource.v1.NodeAllocatableResourceMapping": "capacityKey",
}
#: JSON names that differ, of the same packages.
JSON_NAMES = {
    _EXTENSIONS + "JSONSchemaProps": {
        "schema": "$schema",
        "ref": "$ref",
        "xKubernetesPreserveUnknownFields": "x-kubernetes-preserve-unknown-fields",
        "xKubernetesEmbeddedResource": "x-kubernetes-embedded-resource",
        "xKubernetesIntOrString": "x-kubernetes-int-or-string",
        "xKubernetesListMapKeys": "x-kubernetes-list-map-keys",
        "xKubernetesListType": "x-kubernetes-list-type",
        "xKubernetesMapType": "x-kubernetes-map-type",
        "xKubernetesValidations": "x-kubernetes-validations",
    },
}
#: Inlined structs whose tags do not say so.
INLINED = {("k8s.io.api.core.v1.EphemeralContainer", "ephemeralContainerCommon")}


def reference(node: Json) -> str:
    """The definition a node refers to, directly or through `allOf`; "" where it refers to none."""
    target = node.get("$ref") or next((each["$ref"] for each in node.get("allOf", []) if "$ref" in each), "")
    return str(target).rsplit("/", 1)[-1]


def form(node: Json, published: Json) -> Any:
    """One field, from its v2 node (merge keys, list types) and its v3 node (defaults)."""
    ref = reference(node)
    if ref:
        core: Any = SCALARS.get(ref, f"@{ref}")
    elif node.get("type") == "array":
        core = {"items": form(node["items"], published.get("items", {}))}
    elif node.get("type") == "object":
        if "additionalProperties" not in node:
            core = "raw"
        else:
            core = {"values": form(node["additionalProperties"], published.get("additionalProperties", {}))}
    elif "type" in node:
        core = node.get("format") or node["type"]
    else:
        core = "any"
    extra: Json = {}
    if node.get("x-kubernetes-list-type"):
        extra["list"] = node["x-kubernetes-list-type"]
    if node.get("x-kubernetes-list-map-keys"):
        extra["keys"] = node["x-kubernetes-list-map-keys"]
    if node.get("x-kubernetes-patch-merge-key"):
        extra["merge"] = node["x-kubernetes-patch-merge-key"]
    if node.get("x-kubernetes-patch-strategy"):
        extra["strategy"] = node["x-kubernetes-patch-strategy"]
    if node.get("x-kubernetes-map-type") == "atomic":
        extra["atomic"] = True
    if "default" in published:
        extra["default"] = published["default"]
    if not extra:
        return core
    return {**(core if isinstance(core, dict) else {"of": core}), **extra}


def definition(node: Json, published: Json) -> Json:
    """One definition's fields and what is required of them."""
    shown = published.get("properties", {})
    fields = {name: form(child, shown.get(name, {})) for name, child in node.get("properties", {}).items()}
    out: Json = {"fields": fields}
    if node.get("required"):
        out["required"] = node["required"]
    if node.get("x-kubernetes-map-type") == "atomic":
        out["atomic"] = True
    if "properties" not in node:
        out["open"] = True
    return out


def references(value: Any) -> set[str]:
    """Every definition a form mentions."""
    if isinstance(value, str):
        return {value[1:]} if value.startswith("@") else set()
    if isinstance(value, dict):
        found: set[str] = set()
        for key in ("of", "items", "values"):
            if key in value:
                found |= references(value[key])
        return found
    return set()


def resources_of(document: Json, group: str, version: str) -> list[Json]:
    """The resources of one group version, subresources folded into theirs, in the order of discovery."""
    rows: dict[str, Json] = {}
    for each in document["resources"]:
        if "/" in each["name"]:
            continue
        row: Json = {"plural": each["name"], "kind": each["kind"], "verbs": sorted(each["verbs"])}
        row["singular"] = each.get("singularName") or each["kind"].lower()
        row["namespaced"] = each["namespaced"]
        for ours, theirs in (("short", "shortNames"), ("categories", "categories")):
            if each.get(theirs):
                row[ours] = each[theirs]
        rows[each["name"]] = row
    for each in document["resources"]:
        parent, _, name = each["name"].partition("/")
        if name:
            kind = [each.get("group", group), each.get("version", version), each["kind"]]
            rows[parent].setdefault("subresources", {})[name] = {"kind": kind, "verbs": sorted(each["verbs"])}
    return list(rows.values())


def groups_of(directory: Path) -> list[Json]:
    """Groups in the order of discovery, the core group first, with the stable versions of each."""
    listed = json.loads((directory / "apis.json").read_text())["groups"]
    core = {"name": "", "versions": [{"version": "v1"}]}
    out = []
    for entry in [core, *listed]:
        group = entry["name"]
        versions = []
        for version in (each["version"] for each in entry["versions"]):
            if STABLE.match(version):
                name = f"apis__{group}__{version}.json" if group else f"api__{version}.json"
                document = json.loads((directory / name).read_text())
                versions.append({"version": version, "resources": resources_of(document, group, version)})
        if versions:
            out.append({"group": group, "versions": versions})
    return out


def message_of(ref: str) -> str:
    """The protobuf message of a definition."""
    name = ref.removeprefix("io.k8s.").replace("apiextensions-apiserver", "apiextensions_apiserver")
    return "k8s.io." + name.replace("kube-aggregator", "kube_aggregator")


def marked(message: str, fields: Json, known: Json, definition: Json) -> Json:
    """A message's fields with what JSON makes of them: see `protobuf.json` above."""
    out: Json = {}
    for name, (number, label, kind) in fields.items():
        facts = known.get(name, {})
        shown = facts.get("json") or JSON_NAMES.get(message, {}).get(name, name)
        shown = name if shown == "-" else shown
        inline = facts.get("inline", False) or (message, name) in INLINED
        # Messages and lists have no zero that is dropped; only plain values need the mark.
        kept = facts.get("keep", False) if facts else (
            name in POINTERS.get(message, "").split() or shown in definition.get("required", ())
        )  # fmt: skip
        marks = "i" if inline else "k" if kept and label == "optional" and kind in PLAIN else ""
        row = [number, label, kind]
        if marks or shown != name:
            row.append(marks)
        if shown != name and not inline:
            row.append(shown)
        out[name] = row
    return out


def main(openapi: Path, discovery: Path, protobuf: Path, kubectl: Path, out: Path, served: Path | None = None) -> None:
    """Read the documents, write the tables."""
    nodes = json.loads((openapi / "swagger.json").read_text())["definitions"]
    published: Json = {}
    for path in sorted((openapi / "v3").glob("*.json")):
        for ref, node in json.loads(path.read_text()).get("components", {}).get("schemas", {}).items():
            published.setdefault(ref, node)
    every = {ref: definition(node, published.get(ref, {})) for ref, node in nodes.items() if ref not in SCALARS}

    by_kind: dict[str, str] = {}
    for ref, node in nodes.items():
        named = node.get("x-kubernetes-group-version-kind", [])
        if ref.startswith(META):
            named = [each for each in named if (each["group"], each["version"]) == ("", "v1")]
        for each in named:
            if STABLE.match(each["version"]) and not each["kind"].endswith("List"):
                by_kind[f"{each['group']}/{each['version']}/{each['kind']}"] = ref

    wanted: set[str] = set()
    queue = [*by_kind.values(), *(ref for ref in every if ref.startswith(META))]
    while queue:
        ref = queue.pop()
        if ref in wanted or ref not in every:
            continue
        wanted.add(ref)
        for each in every[ref]["fields"].values():
            queue += references(each)

    messages = json.loads(protobuf.read_text())
    numbers = {message_of(ref): messages[message_of(ref)] for ref in wanted if message_of(ref) in messages}
    for message in messages:  # what the wire needs and OpenAPI does not name
        if (
            message.startswith(("k8s.io.apimachinery.pkg.runtime.", "k8s.io.apimachinery.pkg.apis.meta.v1."))
            or (message.removesuffix("List") in numbers)
            or message in {message_of(ref) for ref in SCALARS}
        ):
            numbers[message] = messages[message]
    pending = list(numbers)
    while pending:  # Go structs that are inlined in JSON have messages and no definitions
        message = pending.pop()
        for _, _, kind in messages[message].values():
            name = kind[1:] if kind.startswith(".") else f"{message.rpartition('.')[0]}.{kind}"
            if name in messages and name not in numbers:
                numbers[name] = messages[name]
                pending.append(name)

    out.mkdir(parents=True, exist_ok=True)
    write(out / "definitions.json", {ref: every[ref] for ref in sorted(wanted)})
    write(out / "kinds.json", dict(sorted(by_kind.items())))
    write(out / "resources.json", groups_of(discovery))
    types = go_types.facts(kubectl)
    required = {message_of(ref): every[ref] for ref in every}
    write(out / "protobuf.json", {
        message: marked(message, fields, types.get(message, {}), required.get(message, {}))
        for message, fields in sorted(numbers.items())
    })  # fmt: skip
    if served is not None:
        served.write_text("\n".join(served_lines(discovery)) + "\n")
        print(f"{served}: {served.stat().st_size} bytes")


def served_lines(discovery: Path) -> list[str]:
    """`group/version plural Kind scope subresources`, one line each, straight from the documents: what tests compare
    the registry with."""
    lines = []
    for path in sorted(discovery.glob("api*.json")):
        document = json.loads(path.read_text())
        version = document.get("groupVersion", "")
        if document.get("kind") != "APIResourceList" or not STABLE.match(version.rpartition("/")[2]):
            continue
        for each in document["resources"]:
            scope = "namespaced" if each["namespaced"] else "cluster"
            lines.append(f"{version} {each['name']} {each['kind']} {scope} {','.join(sorted(each['verbs']))}")
    return sorted(lines)


def write(path: Path, value: Any) -> None:
    """One entry a line, so that a change of version reads as a diff."""
    if isinstance(value, dict):
        lines = [
            f"{json.dumps(key)}:{json.dumps(each, separators=(',', ':'), sort_keys=True)}"
            for key, each in value.items()
        ]
        text = "{\n" + ",\n".join(lines) + "\n}\n"
    else:
        text = "[\n" + ",\n".join(json.dumps(each, separators=(",", ":"), sort_keys=True) for each in value) + "\n]\n"
    path.write_text(text)
    print(f"{path}: {len(text)} bytes")


if __name__ == "__main__":
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    root = Path(__file__).parent.parent
    elsewhere = Path(sys.argv[5]) if len(sys.argv) > 5 else None
    main(
        Path(sys.argv[1]),
        Path(sys.argv[2]),
        Path(sys.argv[3]),
        Path(sys.argv[4]),
        elsewhere or root / "src/kaa/kinds/data",
        (elsewhere or root / "tests/kinds") / "served.txt",
    )
