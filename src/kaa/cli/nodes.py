"""`kaa node`: list, add and remove nodes."""

from collections.abc import Callable
from dataclasses import replace

import click

from kaa.cli import show
from kaa.cluster.home import ClusterState, Home

__all__ = ["node", "print_nodes"]


@click.group(help="List, add and remove nodes.")
def node() -> None:
    pass


def _cluster() -> tuple[Home, ClusterState]:
    home = Home()
    state = home.load()
    if state is None:
        raise click.ClickException(f"there is no cluster in {home.root}; run: kaa up")
    return home, state


def print_nodes(home: Home) -> None:
    """The nodes as the API shows them."""
    import asyncio

    from kaa.base.clock import REAL, parse_seconds
    from kaa.client.client import Client
    from kaa.http.api import CallError
    from kaa.kinds.views import Node
    from kaa.meta.errors import StatusError

    async def fetch() -> list[Node]:
        client = Client.from_kubeconfig(home.kubeconfig)
        try:
            return (await client.list(Node, limit=500)).items
        finally:
            await client.close()

    try:
        nodes = asyncio.run(fetch())
    except (CallError, StatusError) as error:
        raise click.ClickException(f"the API does not answer: {error}; `kaa logs server` says why") from error
    now = REAL.now()
    rows = []
    for each in sorted(nodes, key=lambda node: node.name)[:100]:
        ready = next((c.status for c in each.status.conditions if c.type == "Ready"), "Unknown")
        made = each.metadata.creation_timestamp
        kind = "simulated" if "simulated.kaa.dev/node" in each.labels else "containers"
        rows.append(
            (each.name, "Ready" if ready == "True" else "NotReady", kind,
             show.age(now - parse_seconds(made)) if made else "-")
        )  # fmt: skip
    show.table(("NODE", "STATE", "KIND", "AGE"), rows)
    if len(nodes) > len(rows):
        print(f"... and {len(nodes) - len(rows)} more: kaa kubectl get nodes")


@node.command(name="list", help="The nodes, and whether they are ready.")
def list_() -> int:
    home, _ = _cluster()
    print_nodes(home)
    return 0


@node.command(help="Add nodes to the cluster.")
@click.option("--simulated", type=click.IntRange(min=1), metavar="COUNT",
              help="How many nodes that are not there: pods on them are reported, and not run.")  # fmt: skip
def add(simulated: int | None) -> int:
    if not simulated:
        raise click.UsageError("only simulated nodes can be added so far: say --simulated COUNT")
    return _set_simulated(lambda now: now + simulated)


@node.command(help="Remove simulated nodes: the last COUNT of them, with their pods.")
@click.option("--simulated", type=click.IntRange(min=1), metavar="COUNT", required=True, help="How many.")
def remove(simulated: int) -> int:
    return _set_simulated(lambda now: now - simulated)


def _set_simulated(change: Callable[[int], int]) -> int:
    from kaa.base.clock import REAL
    from kaa.cluster.daemons import Daemon, DaemonFailed
    from kaa.cluster.home import Busy
    from kaa.cluster.up import simulated_arguments

    home, _ = _cluster()
    began = REAL.monotonic()
    try:
        with home.locked():
            state = home.load()
            assert state is not None
            wanted = change(state.simulated_nodes)
            if wanted < 0:
                return show.fail(f"there are only {state.simulated_nodes} simulated nodes")
            before = state.simulated_nodes
            state = replace(state, simulated_nodes=wanted)
            home.save(state)
            daemon = Daemon(home, "simulated")
            daemon.stop()
            if wanted:
                # What simulated nodes do follows from the API alone, so the new process goes on where the old one was.
                daemon.start(simulated_arguments(home, state))
                daemon.wait_ready(max(60.0, wanted / 20))
    except (Busy, DaemonFailed) as error:
        return show.fail(str(error))
    if wanted < before:
        _delete_nodes(home, [f"sim-{n}" for n in range(wanted, before)])
    show.step(f"{wanted} simulated nodes", REAL.monotonic() - began)
    return 0


def _delete_nodes(home: Home, names: list[str]) -> None:
    import asyncio

    from kaa.client.client import Client
    from kaa.kinds.views import Node
    from kaa.meta.errors import StatusError

    async def delete() -> None:
        client = Client.from_kubeconfig(home.kubeconfig)
        slots = asyncio.Semaphore(16)

        async def one(name: str) -> None:
            async with slots:
                try:
                    await client.delete(Node.resource, name)
                except StatusError as error:
                    if error.code != 404:
                        raise

        try:
            await asyncio.gather(*map(one, names))
        finally:
            await client.close()

    asyncio.run(delete())
