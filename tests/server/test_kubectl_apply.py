"""kubectl's ways of changing objects, old and new kubectl, against a listening server."""

import json
from pathlib import Path

import pytest
from tests.server.live import Kubectl
from tests.server.test_kubectl import CONFIG_MAP, DEPLOYMENT, POD

#: Clients are slow to start, or time has to pass: not in the quick part.
pytestmark = pytest.mark.slow

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
IMAGE = "jsonpath={.spec.template.spec.containers[0].image}"


def managers(k: Kubectl, *what: str) -> dict[str, str]:
    """manager -> operation."""
    thing = json.loads(k.run("get", *what, "--show-managed-fields", "-o", "json"))
    return {each["manager"]: each["operation"] for each in thing["metadata"].get("managedFields", [])}


def test_apply_and_diff_both_ways(k: Kubectl) -> None:
    for mode, done in (((), "created"), (("--server-side",), "serverside-applied")):
        name = f"web{len(mode)}"
        text = DEPLOYMENT.replace("name: web,", f"name: {name},")
        assert k.run("apply", *mode, "-f", "-", text=text) == f"deployment.apps/{name} {done}\n"
        assert k.run("diff", *mode, "-f", "-", text=text) == ""
        changed = text.replace("nginx:1", "nginx:2").replace("replicas: 2", "replicas: 3")
        told = k.run("diff", *mode, "-f", "-", text=changed, code=1)
        assert "+  replicas: 3" in told and "nginx:2" in told
        k.run("apply", *mode, "-f", "-", text=changed)
        assert k.run("get", "deploy", name, "-o", IMAGE) == "nginx:2"
        gone = changed.replace(", ports: [{containerPort: 80}]", "")
        k.run("apply", *mode, "-f", "-", text=gone)
        assert k.run("get", "deploy", name, "-o", "jsonpath={.spec.template.spec.containers[0].ports}") == ""


def test_from_client_side_apply_and_back(k: Kubectl) -> None:
    k.run("apply", "-f", "-", text=CONFIG_MAP)
    assert managers(k, "cm", "cm") == {"kubectl-client-side-apply": "Update"}
    assert k.run("apply", "--server-side", "-f", "-", text=CONFIG_MAP.replace("'1'", "'9'")) == (
        "configmap/cm serverside-applied\n"
    )
    # kubectl gives the annotation an owner of its own, and drops its earlier self from the list.
    assert managers(k, "cm", "cm") == {"kubectl": "Apply", "kubectl-last-applied": "Apply"}
    assert k.run("get", "cm", "cm", "-o", "jsonpath={.data.a}") == "9"
    # What server-side apply drops is gone: client-side apply's ownership went over to it.
    k.run("apply", "--server-side", "-f", "-", text=CONFIG_MAP.replace(", b: '2'", ""))
    assert json.loads(k.run("get", "cm", "cm", "-o", "json"))["data"] == {"a": "1"}
    # The annotation was kept true, so client-side apply knows what to take away.
    assert k.run("apply", "-f", "-", text=CONFIG_MAP.replace("a: '1', ", "")) == "configmap/cm configured\n"
    assert json.loads(k.run("get", "cm", "cm", "-o", "json"))["data"] == {"b": "2"}
    assert "b:" in k.run("apply", "view-last-applied", "cm", "cm")


def test_conflicts_are_shown_and_forced(k: Kubectl) -> None:
    k.run("create", "-f", "-", text=DEPLOYMENT)
    k.run("scale", "deploy", "web", "--replicas=7")
    k.run("apply", "--server-side", "-f", "-", text=DEPLOYMENT, code=1)
    assert 'conflict with "kubectl" with subresource "scale" using apps/v1: .spec.replicas' in k.errors
    assert "--force-conflicts" in k.errors
    k.run("apply", "--server-side", "--force-conflicts", "-f", "-", text=DEPLOYMENT)
    assert k.run("get", "deploy", "web", "-o", "jsonpath={.spec.replicas}") == "2"
    k.run("apply", "--server-side", "-f", "-", text=DEPLOYMENT + "bogus: 1\n", code=1)
    assert "field not declared in schema" in k.errors


def test_edit(k: Kubectl, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\nsed -i 's/nginx:1/nginx:5/; s/replicas: 2/replicas: 4/' \"$1\"\n")
    editor.chmod(0o755)
    k.run("create", "-f", "-", text=DEPLOYMENT)
    assert k.run("edit", "deploy", "web", EDITOR=str(editor)) == "deployment.apps/web edited\n"
    assert k.run("get", "deploy", "web", "-o", IMAGE) == "nginx:5"
    assert "no changes made" in (k.run("edit", "deploy", "web", EDITOR="true") + k.errors)
    status = tmp_path / "status"
    status.write_text("#!/bin/sh\nsed -i 's/^status:.*/status: {replicas: 3}/' \"$1\"\n")
    status.chmod(0o755)
    k.run("edit", "deploy", "web", "--subresource=status", EDITOR=str(status))
    assert k.run("get", "deploy", "web", "-o", "jsonpath={.status.replicas}") == "3"
    k.run("apply", "-f", "-", text=CONFIG_MAP)
    last = tmp_path / "last"
    last.write_text('#!/bin/sh\nsed -i \'s/"2"/"8"/\' "$1"\n')
    last.chmod(0o755)
    k.run("apply", "edit-last-applied", "cm", "cm", EDITOR=str(last), code=None)
    k.run("apply", "set-last-applied", "-f", "-", text=CONFIG_MAP)
    assert json.loads(k.run("apply", "view-last-applied", "cm", "cm", "-o", "json"))["data"] == {"a": "1", "b": "2"}


def test_every_type_of_patch(k: Kubectl) -> None:
    k.run("create", "-f", "-", text=DEPLOYMENT + "---\n" + CONFIG_MAP)
    strategic = '{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"s"}]}}}}'
    assert k.run("patch", "deploy", "web", "-p", strategic) == "deployment.apps/web patched\n"
    names = "jsonpath={.spec.template.spec.containers[*].name}"
    assert k.run("get", "deploy", "web", "-o", names) == "side web"
    assert "no change" in k.run("patch", "deploy", "web", "--type=strategic", "-p", strategic)
    k.run("patch", "deploy", "web", "--type=merge", "-p", strategic)
    assert k.run("get", "deploy", "web", "-o", names) == "side"
    k.run("patch", "cm", "cm", "--type=json", "-p", '[{"op":"test","path":"/data/a","value":"no"}]', code=1)
    assert k.errors == ("The request is invalid: the server rejected our request due to an error in our request\n")
    k.run("patch", "cm", "cm", "--type=json", "-p", '[{"op":"replace","path":"/data/a","value":"5"}]')
    assert k.run("get", "cm", "cm", "-o", "jsonpath={.data.a}") == "5"
    k.run("patch", "deploy", "web", "--subresource=scale", "--type=merge", "-p", '{"spec":{"replicas":6}}')
    assert k.run("get", "deploy", "web", "-o", "jsonpath={.spec.replicas}") == "6"
    k.run("patch", "deploy", "web", "-p", '{"spec":{"replicas":"x"}}', code=1)
    assert "cannot convert string to int32" in k.errors
    k.run("patch", "deploy", "web", "-p", '{"spec":{"template":{"spec":{"containers":[{"image":"x"}]}}}}', code=1)
    assert k.errors == "Error from server (BadRequest): map: map[image:x] does not contain declared merge key: name\n"
    dry = k.run("patch", "cm", "cm", "--type=merge", "-p", '{"data":{"z":"1"}}', "--dry-run=server", "-o", "json")
    assert json.loads(dry)["data"]["z"] == "1"
    assert "z" not in k.run("get", "cm", "cm", "-o", "jsonpath={.data}")


def test_replace_label_annotate_and_set(k: Kubectl) -> None:
    k.run("create", "-f", "-", text=DEPLOYMENT + "---\n" + CONFIG_MAP + "---\n" + POD)
    assert k.run("replace", "-f", "-", text=CONFIG_MAP.replace("'2'", "'7'")) == "configmap/cm replaced\n"
    before = k.run("get", "pod", "p", "-o", "jsonpath={.metadata.uid}")
    told = k.run("replace", "--force", "--grace-period=0", "-f", "-", text=POD.replace("busybox", "other"))
    assert told.endswith("pod/p replaced\n")
    assert k.run("get", "pod", "p", "-o", "jsonpath={.metadata.uid}") != before
    assert k.run("get", "pod", "p", "-o", "jsonpath={.spec.containers[0].image}") == "other"
    k.run("label", "cm", "cm", "a=1")
    k.run("label", "cm", "cm", "a=2", code=1)
    assert "already has a value (1), and --overwrite is false" in k.errors
    assert k.run("label", "cm", "cm", "a=2", "--overwrite") == "configmap/cm labeled\n"
    assert k.run("label", "cm", "cm", "a=2") == "configmap/cm not labeled\n"
    k.run("annotate", "cm", "cm", "n=1")
    assert k.run("annotate", "cm", "cm", "n-") == "configmap/cm annotated\n"
    assert k.run("set", "image", "deploy/web", "*=nginx:9") == "deployment.apps/web image updated\n"
    assert k.run("set", "resources", "deploy/web", "--limits=cpu=200m") == (
        "deployment.apps/web resource requirements updated\n"
    )
    assert k.run("get", "deploy", "web", "-o", IMAGE) == "nginx:9"


def test_prune(k: Kubectl, tmp_path: Path) -> None:
    allow = "--prune-allowlist=core/v1/ConfigMap"
    labelled = CONFIG_MAP.replace("{name: cm}", "{name: %s, labels: {app: p}}")
    k.run("apply", "-f", "-", text=labelled % "one" + "---\n" + labelled % "two")
    told = k.run("apply", "-f", "-", "--prune", "-l", "app=p", allow, text=labelled % "two")
    assert "configmap/one pruned" in told and "configmap/two unchanged" in told
    assert k.run("get", "cm", "-l", "app=p", "-o", "name") == "configmap/two\n"


@pytest.mark.conformance("Kubectl, patch to annotate")
def test_patch_annotates(k: Kubectl) -> None:
    k.run("create", "-f", "-", text=POD)
    k.run("patch", "pod", "p", "-p", '{"metadata":{"annotations":{"x":"y"}}}')
    assert k.run("get", "pod", "p", "-o", "jsonpath={.metadata.annotations.x}") == "y"
