"""Putting the acting parts together, for processes of their own and for a cluster in one process."""

from typing import TYPE_CHECKING

from kaa.base.clock import REAL, Clock
from kaa.base.log import Logger
from kaa.base.retry import Backoff
from kaa.client.client import Client
from kaa.client.informers import Informers
from kaa.http.api import CallError
from kaa.meta.errors import StatusError
from kaa.runtime import Election, Manager

if TYPE_CHECKING:
    from kaa.controllers.settings import SigningSettings
    from kaa.scheduler.scheduler import Scheduler

__all__ = ["make_manager", "make_scheduler", "wait_reachable"]

COMPLAINT_SECONDS = 5.0


async def wait_reachable(client: Client, log: Logger, clock: Clock = REAL) -> None:
    """Until the API is ready: everything is started at once, and whoever is early waits here, asking often."""
    backoff = Backoff(first_seconds=0.01, factor=1.3, seconds_max=0.5)
    began = complained = clock.monotonic()
    while True:
        try:
            reply = await client.raw("GET", "/readyz", timeout_seconds=5.0)
            if reply.status == 200:
                return
            reason = f"it answers {reply.status}: {reply.body[:200].decode(errors='replace')}"
        except (CallError, StatusError) as error:
            reason = str(error)
        if clock.monotonic() - complained > COMPLAINT_SECONDS:
            complained = clock.monotonic()
            log.warning("the API is not ready; trying on", seconds=round(complained - began, 1), reason=reason)
        await clock.sleep(backoff.next_seconds())


def make_manager(
    client: Client,
    informers: Informers,
    *,
    root_ca_pem: str = "",
    cluster_cidr: str = "10.244.0.0/16",
    disabled: frozenset[str] = frozenset(),
    identity: str = "",
    signing: "SigningSettings | None" = None,
    clock: Clock = REAL,
) -> Manager:
    """The default controllers; `informers` are started by the caller. With an `identity` they act only while they hold
    the lease."""
    from kaa.controllers.defaults import default_makers
    from kaa.controllers.settings import ControllersSettings, SigningSettings

    settings = ControllersSettings(
        root_ca_pem=root_ca_pem, cluster_cidr=cluster_cidr, disabled=disabled, signing=signing or SigningSettings()
    )
    return Manager(
        client,
        default_makers(settings),
        informers=informers,
        clock=clock,
        settings=settings,
        election=Election("kube-controller-manager", identity) if identity else None,
        name="controllers",
    )


def make_scheduler(client: Client, informers: Informers, *, identity: str = "", clock: Clock = REAL) -> "Scheduler":
    """The scheduler, which writes as `client` and sees what `informers` see; they are started by the caller."""
    from kaa.scheduler.scheduler import Scheduler

    election = Election("kube-scheduler", identity) if identity else None
    return Scheduler(client, informers=informers, clock=clock, election=election)
