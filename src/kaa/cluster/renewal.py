"""Certificates renewed before they end, while everything runs.

Whoever has the authority's key renews what it has signed: the API server's process, for all files of its directory
(its own certificate, those of controllers, scheduler and administrator, and the nodes' serving certificates, which the
built-in signers issue only after somebody's approval). A node that has only its own files asks for a new client
certificate by a CertificateSigningRequest, as kubelets do. Listeners and clients read the files again by themselves;
what goes on over old connections goes on.
"""

import asyncio
import base64
import datetime
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kaa.base import ids
from kaa.base.clock import REAL, Clock
from kaa.base.log import Logger
from kaa.base.retry import Backoff
from kaa.client.client import Client
from kaa.cluster.pki import KeyPair, pem_of, write_pair
from kaa.http.api import CallError
from kaa.kinds.views.certificates import CertificateSigningRequest
from kaa.meta.errors import StatusError

__all__ = ["ClientRotation", "RotationFailed", "keep_renewed"]

_log = Logger("certificates")

CHECK_SECONDS = 3600.0
#: How long a request for a certificate may take to be answered, as in the original.
ANSWER_SECONDS = 15 * 60.0
POLL_SECONDS = 0.5
KUBELET_SIGNER = "kubernetes.io/kube-apiserver-client-kubelet"


async def keep_renewed(
    renew: Callable[[], list[str]],
    renewed: Callable[[list[str]], None],
    *,
    clock: Clock = REAL,
    check_seconds: float = CHECK_SECONDS,
) -> None:
    """Call `renew` now and then, until cancelled; `renewed` is told the names of what it has made anew."""
    while True:
        await clock.sleep(ids.jitter(check_seconds, 0.1))  # at the start everything has just been looked at
        try:
            names = await asyncio.to_thread(renew)
            if names:
                _log.info("certificates renewed", names=",".join(names))
                await asyncio.to_thread(renewed, names)
        except (OSError, ValueError) as error:
            _log.error("certificates can't be renewed: trying again later", error=str(error))


class RotationFailed(Exception):
    """No new certificate; the text says why."""


class ClientRotation:
    """A node's client certificate in two files, exchanged for a new one when most of its life is over.

    The request is made with the old certificate, and approved by the cluster because a node asks for itself.
    """

    def __init__(self, client: Client, certificate: Path, key: Path, clock: Clock = REAL) -> None:
        self._client, self._certificate, self._key, self._clock = client, certificate, key, clock

    async def run(self) -> None:
        """Exchange it whenever it is due, until cancelled."""
        pauses = Backoff(first_seconds=2.0, factor=2.0, seconds_max=300.0)
        while True:
            try:
                due = await asyncio.to_thread(self.due)
                await self._clock.sleep(max(0.0, due - self._clock.now()))
                if await asyncio.to_thread(self.due) > self._clock.now():
                    continue  # somebody else has renewed it meanwhile
                await self.rotate()
                pauses = Backoff(first_seconds=2.0, factor=2.0, seconds_max=300.0)
            except (RotationFailed, StatusError, CallError, OSError, ValueError) as error:
                _log.error("the client certificate can't be exchanged: trying again", error=str(error))
                await self._clock.sleep(pauses.next_seconds())

    def due(self) -> float:
        """When it is time: after 70 to 90 percent of its life, so that many nodes do not come at once."""
        held = x509.load_pem_x509_certificate(self._certificate.read_bytes())
        begins, ends = held.not_valid_before_utc.timestamp(), held.not_valid_after_utc.timestamp()
        share = 0.7 + 0.2 * (held.serial_number % 1000) / 1000  # by chance, and the same each time it is asked
        return begins + (ends - begins) * share

    async def rotate(self) -> None:
        """Ask for a new certificate, and put it in place. Raises RotationFailed."""
        held = x509.load_pem_x509_certificate(await asyncio.to_thread(self._certificate.read_bytes))
        key = ec.generate_private_key(ec.SECP256R1())
        request = x509.CertificateSigningRequestBuilder().subject_name(held.subject).sign(key, hashes.SHA256())
        made = await self._client.create(CertificateSigningRequest.resource, {
            "metadata": {"generateName": "csr-"},
            "spec": {
                "request": base64.b64encode(request.public_bytes(serialization.Encoding.PEM)).decode(),
                "signerName": KUBELET_SIGNER, "usages": ["digital signature", "client auth"],
            },
        })  # fmt: skip
        certificate = await self._answer(made["metadata"]["name"])
        await asyncio.to_thread(write_pair, self._certificate, self._key, KeyPair(certificate, pem_of(key)))
        ends = x509.load_pem_x509_certificate(certificate).not_valid_after_utc
        _log.info("client certificate exchanged", valid_until=ends.astimezone(datetime.UTC).isoformat())

    async def _answer(self, name: str) -> bytes:
        deadline = self._clock.monotonic() + ANSWER_SECONDS
        while self._clock.monotonic() < deadline:
            csr = await self._client.get(CertificateSigningRequest, name)
            for each in csr.status.conditions:
                if each.type in ("Denied", "Failed"):
                    raise RotationFailed(f"request {name} was {each.type.lower()}: {each.reason}: {each.message}")
            if csr.status.certificate:
                return base64.b64decode(csr.status.certificate)
            await self._clock.sleep(POLL_SECONDS)
        raise RotationFailed(f"request {name} was not answered in {ANSWER_SECONDS / 60:g} minutes: is it approved?")
