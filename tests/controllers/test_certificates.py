"""CertificateSigningRequests from asking to cleaning up, by rules in tables and by kubectl against a whole cluster."""

import asyncio
import base64
import datetime
import ipaddress
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kaa.base.clock import REAL, format_seconds
from kaa.client.client import Client
from kaa.cluster.local import LocalCluster
from kaa.cluster.pki import Authority
from kaa.controllers.certificates.cleaner import why_to_remove
from kaa.controllers.certificates.rules import (
    KUBE_APISERVER_CLIENT,
    KUBELET_CLIENT,
    KUBELET_SERVING,
    LEGACY_UNKNOWN,
    Refused,
    check,
)
from kaa.controllers.certificates.signing import Signer, lifetime_seconds
from kaa.kinds.views.base import ObjectMeta
from kaa.kinds.views.certificates import (
    CertificateSigningRequest,
    CertificateSigningRequestCondition,
    CertificateSigningRequestSpec,
    CertificateSigningRequestStatus,
)
from kaa.kinds.views.core import ConfigMap
from kaa.meta.errors import StatusError

Json = dict[str, Any]
CSR = CertificateSigningRequest.resource
CLIENT_USAGES = ("digital signature", "client auth")
SERVER_USAGES = ("digital signature", "server auth")
NODE, NODES = "system:node:n1", ("system:nodes",)


def request(
    name: str = NODE, organizations: tuple[str, ...] = NODES, *names: x509.GeneralName, key: Any = None
) -> x509.CertificateSigningRequest:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, each) for each in organizations]
    attributes += [x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else []
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(attributes))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key or ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())


def pem(made: x509.CertificateSigningRequest) -> str:
    return base64.b64encode(made.public_bytes(serialization.Encoding.PEM)).decode()


def csr(name: str, made: x509.CertificateSigningRequest, signer: str, usages: tuple[str, ...], **spec: Any) -> Json:
    return {"kind": CSR.kind, "apiVersion": CSR.api_version, "metadata": {"name": name},
            "spec": {"request": pem(made), "signerName": signer, "usages": list(usages), **spec}}  # fmt: skip


DNS, IP = x509.DNSName("n1"), x509.IPAddress(ipaddress.ip_address("10.0.0.1"))
EMAIL, URI = x509.RFC822Name("a@b.c"), x509.UniformResourceIdentifier("spiffe://a")
WITH_ENCIPHERMENT = ("key encipherment", *CLIENT_USAGES)


@pytest.mark.parametrize(
    ("signer", "made", "usages", "refusal"),
    [
        (KUBELET_CLIENT, request(), CLIENT_USAGES, ""),
        (KUBELET_CLIENT, request(), WITH_ENCIPHERMENT, ""),
        (KUBELET_CLIENT, request(NODE, ()), CLIENT_USAGES, "subject organization is not system:nodes"),
        (KUBELET_CLIENT, request(NODE, ("system:nodes", "system:masters")), CLIENT_USAGES,
         "subject organization is not system:nodes"),
        (KUBELET_CLIENT, request("n1"), CLIENT_USAGES, "subject common name does not begin with system:node:"),
        (KUBELET_CLIENT, request(NODE, NODES, DNS), CLIENT_USAGES, "DNS subjectAltNames are not allowed"),
        (KUBELET_CLIENT, request(NODE, NODES, EMAIL), CLIENT_USAGES, "Email subjectAltNames are not allowed"),
        (KUBELET_CLIENT, request(NODE, NODES, IP), CLIENT_USAGES, "IP subjectAltNames are not allowed"),
        (KUBELET_CLIENT, request(NODE, NODES, URI), CLIENT_USAGES, "URI subjectAltNames are not allowed"),
        (KUBELET_CLIENT, request(), SERVER_USAGES,
         "usages did not match [client auth digital signature key encipherment]"),
        (KUBELET_SERVING, request(NODE, NODES, DNS, IP), SERVER_USAGES, ""),
        (KUBELET_SERVING, request(NODE, NODES, IP), ("key encipherment", *SERVER_USAGES), ""),
        (KUBELET_SERVING, request(), SERVER_USAGES, "DNS or IP subjectAltName is required"),
        (KUBELET_SERVING, request(NODE, NODES, DNS, EMAIL), SERVER_USAGES, "Email subjectAltNames are not allowed"),
        (KUBELET_SERVING, request(NODE, NODES, DNS, URI), SERVER_USAGES, "URI subjectAltNames are not allowed"),
        (KUBELET_SERVING, request(NODE, NODES, DNS), CLIENT_USAGES,
         "usages did not match [digital signature key encipherment server auth]"),
        (KUBELET_SERVING, request("n1", NODES, DNS), SERVER_USAGES,
         "subject common name does not begin with system:node:"),
        (KUBELET_SERVING, request(NODE, (), DNS), SERVER_USAGES, "subject organization is not system:nodes"),
        (KUBE_APISERVER_CLIENT, request("alice", ("devs",), DNS), CLIENT_USAGES, ""),
        (KUBE_APISERVER_CLIENT, request("alice"), ("client auth",), ""),
        (KUBE_APISERVER_CLIENT, request("alice"), ("client auth", "server auth"),
         "invalid usage for client certificate: server auth"),
        (KUBE_APISERVER_CLIENT, request("alice"), ("digital signature",),
         "missing required usage for client certificate: client auth"),
        (LEGACY_UNKNOWN, request("x", (), URI), ("cert sign", "any"), ""),
    ],
)  # fmt: skip
def test_what_signers_sign(signer: str, made: x509.CertificateSigningRequest, usages: tuple[str, ...], refusal: str):
    if not refusal:
        check(signer, made, usages)
        return
    with pytest.raises(Refused) as refused:
        check(signer, made, usages)
    assert str(refused.value) == refusal


@pytest.mark.parametrize(
    ("asked", "granted"), [(None, 1000_000), (600, 600), (1, 600), (7200, 7200), (2_000_000, 1000_000)]
)
def test_how_long_certificates_live(asked: int | None, granted: int):
    assert lifetime_seconds(asked, 1000_000) == granted


def test_a_certificate_is_made_of_the_request_and_the_authority(tmp_path: Path):
    authority = Authority(tmp_path, "ca", "kubernetes")
    signer = Signer(authority.pem, authority.key_path.read_bytes())
    key = rsa.generate_private_key(65537, 2048)
    now = float(int(REAL.now()))
    made = x509.load_pem_x509_certificate(
        signer.sign(request(NODE, NODES, DNS, IP, key=key), (*SERVER_USAGES, "key encipherment"), 86400.0, now)
    )
    made.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.pem))
    assert made.public_key() == key.public_key()
    assert made.subject.rfc4514_string() == "CN=system:node:n1,O=system:nodes"
    held = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {str(each.value) for each in held} == {"n1", "10.0.0.1"}
    assert list(made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.SERVER_AUTH
    ]
    usage = made.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert (usage.value.digital_signature, usage.value.key_encipherment, usage.value.key_cert_sign) == (
        True, True, False)  # fmt: skip
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    # Five minutes back, and of a long life five minutes less; a short one is whole.
    assert made.not_valid_before_utc.timestamp() == now - 300
    assert made.not_valid_after_utc.timestamp() == now + 86400 - 300
    short = x509.load_pem_x509_certificate(signer.sign(request(), CLIENT_USAGES, 3600.0, now))
    assert short.not_valid_after_utc.timestamp() == now + 3600
    # Nothing outlives its authority.
    long = x509.load_pem_x509_certificate(signer.sign(request(), CLIENT_USAGES, 86400.0 * 365 * 50, now))
    assert long.not_valid_after_utc == x509.load_pem_x509_certificate(authority.pem).not_valid_after_utc


NOW = 1_000_000_000.0


def aged(condition: str, hours: float, *, certificate: str = "") -> CertificateSigningRequest:
    at = format_seconds(NOW - hours * 3600)
    found = (
        (CertificateSigningRequestCondition(type=condition, status="True", last_update_time=at),) if condition else ()
    )
    return CertificateSigningRequest(
        metadata=ObjectMeta(name="c", creation_timestamp=at),
        spec=CertificateSigningRequestSpec(),
        status=CertificateSigningRequestStatus(conditions=found, certificate=certificate),
    )


@pytest.mark.parametrize(
    ("obj", "gone"),
    [
        (aged("", 23.9), False),
        (aged("", 24.1), True),
        (aged("Approved", 0.9, certificate="x"), False),
        (aged("Approved", 1.1, certificate="x"), True),
        (aged("Approved", 23.9), False),
        (aged("Approved", 24.1), True),
        (aged("Denied", 0.9), False),
        (aged("Denied", 1.1), True),
        (aged("Failed", 0.9), False),
        (aged("Failed", 1.1), True),
        (aged("SomethingElse", 1000), False),
    ],
)
def test_when_requests_go(obj: CertificateSigningRequest, gone: bool):
    assert bool(why_to_remove(obj, NOW)) is gone


def test_a_request_goes_with_its_certificate(tmp_path: Path):
    authority = Authority(tmp_path, "ca", "kubernetes")
    signer = Signer(authority.pem, authority.key_path.read_bytes())
    made = signer.sign(request(), CLIENT_USAGES, 600.0, NOW - 1200)
    expired = aged("Approved", 0.1, certificate=base64.b64encode(made).decode())
    assert why_to_remove(expired, NOW) == "its certificate has expired"
    assert why_to_remove(expired, NOW - 900) == ""


# --- in a cluster


async def until(client: Client, name: str, what: Any) -> CertificateSigningRequest:
    for _ in range(500):
        found = await client.get(CertificateSigningRequest, name)
        if what(found):
            return found
        await asyncio.sleep(0.02)
    raise AssertionError(f"it did not come about: {found}")


def certificate_of(found: CertificateSigningRequest) -> x509.Certificate:
    return x509.load_pem_x509_certificate(base64.b64decode(found.status.certificate))


async def decide(client: Client, name: str, kind: str) -> None:
    whole = await client.get_json(CSR, name)
    whole["status"]["conditions"] = [{"type": kind, "status": "True", "reason": "Test", "message": "so it is"}]
    await client.update(CSR, whole, subresource="approval")


async def test_kubelets_requests_are_approved_and_issued():
    async with LocalCluster(simulated_nodes=0, scheduler=False) as cluster:
        node = cluster.client_as(NODE, NODES)
        await node.create(CSR, csr("self", request(), KUBELET_CLIENT, CLIENT_USAGES, expirationSeconds=3600))
        found = await until(node, "self", lambda each: each.status.certificate)
        (condition,) = found.status.conditions
        assert (condition.type, condition.reason) == ("Approved", "AutoApproved")
        assert condition.message == "Auto approving self kubelet client certificate after SubjectAccessReview."
        assert (found.spec.username, found.spec.groups) == (NODE, ("system:nodes", "system:authenticated"))
        made = certificate_of(found)
        assert made.subject.rfc4514_string() == "CN=system:node:n1,O=system:nodes"
        left = made.not_valid_after_utc - datetime.datetime.fromtimestamp(REAL.now(), datetime.UTC)
        assert 3500 < left.total_seconds() <= 3600

        # Another node's name: nobody may ask for that unless he may make nodes.
        await node.create(CSR, csr("other", request("system:node:n2"), KUBELET_CLIENT, CLIENT_USAGES))
        # Not what a kubelet asks for: left to people.
        await node.create(CSR, csr("strange", request(NODE, NODES, DNS), KUBELET_CLIENT, CLIENT_USAGES))
        maker = cluster.client_as("bootstrapper", ("makers",))
        for verb, part in (("create", "certificatesigningrequests"),
                           ("create", "certificatesigningrequests/nodeclient")):  # fmt: skip
            name = f"{verb}-{part.replace('/', '-')}"
            rule = {"apiGroups": ["certificates.k8s.io"], "resources": [part], "verbs": [verb]}
            await cluster.client.create(
                _role("clusterroles", "ClusterRole"), {"metadata": {"name": name}, "rules": [rule]}
            )
            await cluster.client.create(_role("clusterrolebindings", "ClusterRoleBinding"), {
                "metadata": {"name": name},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
                "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "makers"}],
            })  # fmt: skip
        await maker.create(CSR, csr("third", request("system:node:n3"), KUBELET_CLIENT, CLIENT_USAGES))
        found = await until(cluster.client, "third", lambda each: each.status.certificate)
        assert found.status.conditions[0].message == (
            "Auto approving kubelet client certificate after SubjectAccessReview."
        )
        for name in ("other", "strange"):
            assert not (await cluster.client.get(CertificateSigningRequest, name)).status.conditions


def _role(plural: str, kind: str) -> Any:
    from kaa.meta.resource import Resource

    return Resource("rbac.authorization.k8s.io", "v1", plural, kind, False, kind.lower())


@pytest.mark.conformance("CertificateSigningRequest API")
async def test_people_decide_and_signers_answer():
    async with LocalCluster(simulated_nodes=0, scheduler=False) as cluster:
        client = cluster.client
        await client.create(CSR, csr("good", request("alice", ("devs",)), KUBE_APISERVER_CLIENT, CLIENT_USAGES))
        await client.create(CSR, csr("bad", request(), KUBELET_SERVING, SERVER_USAGES))
        await client.create(CSR, csr("no", request("bob"), KUBE_APISERVER_CLIENT, CLIENT_USAGES))
        await client.create(CSR, csr("theirs", request("carol"), "example.com/own", CLIENT_USAGES))
        for name, decision in (("good", "Approved"), ("bad", "Approved"), ("no", "Denied"), ("theirs", "Approved")):
            await decide(client, name, decision)
        good = await until(client, "good", lambda each: each.status.certificate)
        assert certificate_of(good).subject.rfc4514_string() == "CN=alice,O=devs"
        bad = await until(client, "bad", lambda each: each.has("Failed"))
        failed = bad.status.conditions[-1]
        assert (failed.reason, failed.message) == ("SignerValidationFailure", "DNS or IP subjectAltName is required")
        assert not bad.status.certificate
        for name in ("no", "theirs"):
            assert not (await client.get(CertificateSigningRequest, name)).status.certificate
        # What was asked, and what was decided, stays.
        with pytest.raises(StatusError) as refused:
            await decide(client, "good", "Denied")
        assert 'updates may not remove a condition of type "Approved"' in refused.value.message


async def test_the_certificate_that_was_issued_is_a_key_to_the_cluster(tmp_path: Path):
    """As the guide of the original does it, with kubectl: ask, approve, take the certificate, be that user."""
    async with LocalCluster(simulated_nodes=0, scheduler=False) as cluster:
        config = str(await cluster.kubeconfig())
        key = ec.generate_private_key(ec.SECP256R1())
        await cluster.client.create(
            CSR, csr("alice", request("alice", ("devs",), key=key), KUBE_APISERVER_CLIENT, ("client auth",))
        )

        async def kubectl(*words: str) -> str:
            process = await asyncio.create_subprocess_exec(
                "kubectl", "--kubeconfig", config, *words,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
                env={"PATH": _path(), "HOME": str(tmp_path)},
            )  # fmt: skip
            output, _ = await asyncio.wait_for(process.communicate(), 30)
            assert process.returncode == 0, output
            return output.decode()

        before = await kubectl("get", "csr", "alice")
        assert before.splitlines()[0].split() == ["NAME", "AGE", "SIGNERNAME", "REQUESTOR", "REQUESTEDDURATION",
                                                  "CONDITION"]  # fmt: skip
        assert before.splitlines()[1].split()[2:] == [KUBE_APISERVER_CLIENT, "kubernetes-admin", "<none>", "Pending"]
        assert "certificatesigningrequest.certificates.k8s.io/alice approved" in await kubectl(
            "certificate", "approve", "alice"
        )
        await until(cluster.client, "alice", lambda each: each.status.certificate)
        assert (await kubectl("get", "csr", "alice")).splitlines()[1].endswith("Approved,Issued")
        encoded = await kubectl("get", "csr", "alice", "-o", "jsonpath={.status.certificate}")
        certificate, private = tmp_path / "alice.crt", tmp_path / "alice.key"
        certificate.write_bytes(base64.b64decode(encoded))
        private.write_bytes(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))  # fmt: skip
        await kubectl("config", "set-credentials", "alice", f"--client-certificate={certificate}",
                      f"--client-key={private}")  # fmt: skip
        who = await kubectl("auth", "whoami", "--user", "alice", "-o", "jsonpath={.status.userInfo}")
        assert '"username":"alice"' in who
        assert '"devs"' in who
        await cluster.client.create(CSR, csr("eve", request("eve"), KUBE_APISERVER_CLIENT, ("client auth",)))
        await kubectl("certificate", "deny", "eve")
        assert (await kubectl("get", "csr", "eve")).splitlines()[1].endswith("Denied")


def _path() -> str:
    import os
    import sys

    return f"{Path(sys.executable).parent}:{os.environ['PATH']}"


@pytest.mark.conformance("RootCA ConfigMap test")
async def test_every_namespace_has_the_authority_and_keeps_it():
    async with LocalCluster(simulated_nodes=0, scheduler=False) as cluster:
        client = cluster.client

        async def held(wanted: bool = True) -> str:
            for _ in range(500):
                try:
                    found = await client.get(ConfigMap, "kube-root-ca.crt", "default")
                    if found.data.get("ca.crt", "").startswith("-----BEGIN CERTIFICATE-----") and len(found.data) == 1:
                        return found.uid
                except StatusError:
                    pass
                await asyncio.sleep(0.02)
            raise AssertionError("it did not come")

        first = await held()
        await client.delete(ConfigMap.resource, "kube-root-ca.crt", namespace="default")
        assert await held() != first
        await client.patch(ConfigMap.resource, "kube-root-ca.crt", {"data": {"ca.crt": "", "more": "x"}},
                           namespace="default")  # fmt: skip
        await held()
