"""`kaa simulated-nodes`: many nodes that are not there, in one process."""

from kaa.base.log import Logger
from kaa.cluster.process import Ready, run_process
from kaa.cluster.settings import SimulatedOptions

__all__ = ["run"]

_log = Logger("simulated")


def run(options: SimulatedOptions) -> int:
    """Keep the nodes alive until told to end; the exit status."""

    async def main(ready: Ready) -> None:
        await work(options, ready)

    return run_process("simulated", main)


async def work(options: SimulatedOptions, ready: Ready) -> None:
    """Until cancelled."""
    from kaa.client.config import load_kubeconfig, open_client
    from kaa.client.informers import Informers
    from kaa.cluster.parts import wait_reachable
    from kaa.simulated.nodes import NodeShape, SimulatedNodes

    path = str(options.kubeconfig) if str(options.kubeconfig) != "." else ""
    client = open_client(load_kubeconfig(path), user_agent="kaa-simulated-nodes")
    await wait_reachable(client, _log)
    shape = NodeShape(options.prefix, options.cpu, options.memory, options.pods)
    nodes = SimulatedNodes(client, Informers(client), options.nodes, shape)
    try:
        async with nodes:
            ready()
            await nodes.wait()
    finally:
        await client.close()
