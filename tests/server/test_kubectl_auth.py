"""kubectl on who one is and what one may: auth, --as, create token, role and binding."""

import base64
import json

import orjson
import pytest
from tests.server.live import Kubectl

#: Clients are slow to start, or time has to pass: not in the quick part.
pytestmark = pytest.mark.slow


def test_being_taken_for_another(k: Kubectl) -> None:
    assert "kubernetes-admin" in k.run("auth", "whoami")
    said = json.loads(
        k.run("auth", "whoami", "-o", "json", "--as=jane", "--as-group=dev", "--as-group=ops", "--as-uid=u1")
    )
    assert said["status"]["userInfo"] == {
        "username": "jane", "uid": "u1", "groups": ["dev", "ops", "system:authenticated"]}  # fmt: skip
    k.run("get", "pods", "--as=jane", code=1)
    assert 'pods is forbidden: User "jane" cannot list resource "pods"' in k.errors
    k.run("get", "pods", "--as-group=dev", code=1)
    k.run("get", "pods", "--as=jane", "--as-group=system:masters")


def test_who_may_be_asked(k: Kubectl) -> None:
    k.run(
        "create",
        "role",
        "reader",
        "--verb=get,list,watch",
        "--resource=pods,services",
        "--resource=deployments.apps/scale",
    )
    k.run("create", "role", "one", "--verb=get", "--resource=secrets", "--resource-name=mine")
    k.run("create", "rolebinding", "reader", "--role=reader", "--user=jane", "--group=dev")
    k.run("create", "rolebinding", "one", "--role=one", "--user=jane")

    def may(*words: str, who: str = "--as=jane") -> str:
        return k.run("auth", "can-i", *words, who, code=None).strip().splitlines()[0]

    for words, answer in (
        (("list", "pods"), "yes"), (("delete", "pods"), "no"), (("list", "pods", "-A"), "no"),
        (("get", "deployments.apps", "--subresource=scale"), "yes"), (("get", "deployments.apps"), "no"),
        (("get", "secret/mine"), "yes"), (("get", "secret/other"), "no"), (("get", "secrets"), "no"),
        (("get", "/version"), "yes"), (("get", "/metrics"), "no"), (("*", "*"), "no"),
    ):  # fmt: skip
        assert may(*words) == answer, words
    assert k.run("auth", "can-i", "*", "*").strip() == "yes"
    listed = k.run("auth", "can-i", "--list", "--as=jane")
    rows = {line.split()[0]: line for line in listed.splitlines()[1:] if line.strip()}
    assert "[get list watch]" in rows["pods"] and "[get list watch]" in rows["services"]
    assert "[mine]" in rows["secrets"] and "deployments.apps/scale" in rows
    assert "selfsubjectaccessreviews.authorization.k8s.io" in rows
    everything = k.run("auth", "can-i", "--list")
    assert "*.*" in everything and "[*]" in everything


def test_reconcile(k: Kubectl) -> None:
    namespace = json.loads(k.run("config", "view", "--minify", "-o", "json"))["contexts"][0]["context"]["namespace"]
    rules = '[{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]'
    role = (
        '{{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {{"name": "r", "namespace": '
        '"{}"}}, "rules": {}}}'
    )
    assert "reconciled" in k.run("auth", "reconcile", "-f", "-", text=role.format(namespace, rules))
    more = rules[:-1] + ', {"verbs": ["list"], "apiGroups": [""], "resources": ["services"]}]'
    assert "reconciled" in k.run("auth", "reconcile", "-f", "-", text=role.format(namespace, more))
    assert len(json.loads(k.run("get", "role", "r", "-o", "json"))["rules"]) == 2
    k.run("auth", "reconcile", "-f", "-", text=role.format(namespace, rules))
    assert len(json.loads(k.run("get", "role", "r", "-o", "json"))["rules"]) == 2  # nothing is taken away
    k.run("auth", "reconcile", "-f", "-", "--remove-extra-permissions", text=role.format(namespace, rules))
    assert len(json.loads(k.run("get", "role", "r", "-o", "json"))["rules"]) == 1


def test_roles_and_bindings_are_made_and_described(k: Kubectl) -> None:
    name = f"c{id(k)}"
    k.run("create", "clusterrole", name, "--verb=get,list", "--resource=nodes")
    k.run("create", "clusterrole", f"{name}-paths", "--verb=get", "--non-resource-url=/logs/*")
    k.run("create", "clusterrole", f"{name}-all", f"--aggregation-rule=kaa.test/{name}=true")
    k.run(
        "create", "clusterrolebinding", name, f"--clusterrole={name}", "--user=jane", "--serviceaccount=default:robot"
    )
    k.run("label", "clusterrole", name, f"kaa.test/{name}=true")
    for _ in range(50):
        gathered = json.loads(k.run("get", "clusterrole", f"{name}-all", "-o", "json"))["rules"]
        if gathered:
            break
    assert gathered == [{"verbs": ["get", "list"], "apiGroups": [""], "resources": ["nodes"]}]
    described = k.run("describe", "clusterrolebinding", name)
    assert "ServiceAccount  robot" in described and "User            jane" in described
    assert "[get list]" in k.run("describe", "clusterrole", name)
    assert k.run("auth", "can-i", "list", "nodes", "--as=jane").strip().endswith("yes")
    assert k.run("auth", "can-i", "get", "/logs/x", "--as=jane", code=1).strip().endswith("no")
    for kind, made in (("clusterrole", name), ("clusterrole", f"{name}-paths"), ("clusterrole", f"{name}-all"),
                       ("clusterrolebinding", name)):  # fmt: skip
        k.run("delete", kind, made)


def claims_of(token: str) -> dict:
    return orjson.loads(base64.urlsafe_b64decode(token.strip().split(".")[1] + "=="))


def test_tokens(k: Kubectl) -> None:
    k.run("create", "secret", "generic", "s")
    plain = claims_of(k.run("create", "token", "default"))
    assert plain["exp"] - plain["iat"] == 3600
    other = claims_of(k.run("create", "token", "default", "--audience=vault", "--duration=20m"))
    assert other["aud"] == ["vault"] and other["exp"] - other["iat"] == 1200
    bound = claims_of(k.run("create", "token", "default", "--bound-object-kind=Secret", "--bound-object-name=s"))
    uid = json.loads(k.run("get", "secret", "s", "-o", "json"))["metadata"]["uid"]
    assert bound["kubernetes.io"]["secret"] == {"name": "s", "uid": uid}
    k.run("create", "token", "default", "--bound-object-kind=Secret", "--bound-object-name=s",
          "--bound-object-uid=other", code=1)  # fmt: skip
    assert "the UID in the bound object reference (other) does not match the UID in record" in k.errors
    k.run("create", "token", "nobody", code=1)
    assert 'serviceaccounts "nobody" not found' in k.errors


@pytest.mark.parametrize("verb", ["escalate", "bind"])
def test_nobody_grants_what_they_have_not(k: Kubectl, verb: str) -> None:
    k.run("create", "role", "writer", "--verb=create,get", "--resource=roles,rolebindings")
    k.run("create", "rolebinding", "writer", "--role=writer", "--user=jane")
    if verb == "escalate":
        k.run("create", "role", "more", "--verb=get", "--resource=secrets", "--as=jane", code=1)
    else:
        k.run("create", "rolebinding", "more", "--clusterrole=admin", "--user=jane", "--as=jane", code=1)
    assert 'user "jane" (groups=["system:authenticated"]) is attempting to grant RBAC permissions' in k.errors
