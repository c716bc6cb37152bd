"""Commands that are one of the cluster's processes. `kaa up` starts them; they also run alone."""

from typing import Any

import click

from kaa.cli.derive import from_options, settings_options
from kaa.cluster.settings import AgentOptions, ControllersOptions, ServerOptions, SimulatedOptions

__all__ = ["agent", "controllers", "server", "simulated_nodes"]


@click.command(
    help="Run the API server and its store. With a --data-dir of its own it makes its certificates and an "
    "administrator's kubeconfig there, at first start."
)
@settings_options(ServerOptions)
def server(**options: Any) -> int:
    from kaa.cluster.server_process import run

    return run(from_options(ServerOptions, options))


@click.command(help="Run the controllers and the scheduler.")
@settings_options(ControllersOptions)
def controllers(**options: Any) -> int:
    from kaa.cluster.controllers_process import run

    return run(from_options(ControllersOptions, options))


@click.command(help="Run a node: kubelet, service proxy, DNS server and the node's HTTPS endpoint.")
@settings_options(AgentOptions)
def agent(**options: Any) -> int:
    from kaa.cluster.agent_process import run

    return run(from_options(AgentOptions, options))


@click.command(name="simulated-nodes", help="Run nodes that are not there: pods on them are reported, and not run.")
@settings_options(SimulatedOptions)
def simulated_nodes(**options: Any) -> int:
    from kaa.cluster.simulated_process import run

    return run(from_options(SimulatedOptions, options))
