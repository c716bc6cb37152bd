"""`kaa controllers`: the controllers and the scheduler, in one process."""

import socket
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from kaa.base import ids
from kaa.base.clock import REAL
from kaa.base.log import Logger
from kaa.cluster.process import Ready, run_process
from kaa.cluster.settings import ControllersOptions

if TYPE_CHECKING:
    from kaa.client.client import Client
    from kaa.runtime import Manager
    from kaa.scheduler.scheduler import Scheduler

__all__ = ["run"]

_log = Logger("controllers")


def run(options: ControllersOptions) -> int:
    """Work until told to end; the exit status."""

    async def main(ready: Ready) -> None:
        await work(options, ready)

    return run_process("controllers", main)


async def work(options: ControllersOptions, ready: Ready) -> None:
    """Work until cancelled."""
    import asyncio

    from kaa.base.tasks import Scope
    from kaa.client.config import load_kubeconfig, open_client
    from kaa.client.informers import Informers
    from kaa.cluster.parts import make_manager, make_scheduler, wait_reachable
    from kaa.controllers.settings import SigningSettings

    path = str(options.kubeconfig) if str(options.kubeconfig) != "." else ""
    access = load_kubeconfig(path)
    root_ca = access.ca_pem or b""
    if options.root_ca_file is not None:
        root_ca = await asyncio.to_thread(options.root_ca_file.read_bytes)
    client = open_client(access, user_agent="kaa-controllers")
    await wait_reachable(client, _log)
    identity = f"{socket.gethostname()}_{ids.uid()}" if options.leader_elect else ""
    async with AsyncExitStack() as stack:
        stack.push_async_callback(client.close)
        scope = await stack.enter_async_context(Scope("controllers-process"))
        # One picture of the cluster for both: what they see is the same, whoever looks. They write as who they are.
        informers = Informers(client)
        running: list[Manager | Scheduler] = []
        if options.only in ("all", "controllers"):
            running.append(
                make_manager(
                    client,
                    informers,
                    root_ca_pem=root_ca.decode(),
                    cluster_cidr=options.cluster_cidr,
                    disabled=frozenset(options.disable),
                    identity=identity,
                    signing=SigningSettings(
                        options.cluster_signing_cert_file,
                        options.cluster_signing_key_file,
                        options.cluster_signing_duration,
                    ),
                )
            )
        if options.only in ("all", "scheduler"):
            other = client
            if options.scheduler_kubeconfig is not None:
                other = open_client(load_kubeconfig(options.scheduler_kubeconfig), user_agent="kaa-scheduler")
                stack.push_async_callback(other.close)
            running.append(make_scheduler(other, informers, identity=identity))
        await informers.start(scope)
        for part in running:
            await stack.enter_async_context(part)
        if options.only == "all" and not identity:
            await _account_made(client)
        ready()
        await asyncio.gather(scope.wait(), *(part.wait() for part in running))


async def _account_made(client: "Client") -> None:
    """Pods need the account `default`: who is told that the cluster is ready may make one at once."""
    from kaa.http.api import CallError
    from kaa.kinds.views import ServiceAccount
    from kaa.meta.errors import StatusError

    while True:
        try:
            await client.get(ServiceAccount, "default", "default")
            return
        except (CallError, StatusError):
            await REAL.sleep(0.01)
