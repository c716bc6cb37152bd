"""Commands about the whole cluster."""

from pathlib import Path
from typing import Any

import click

from kaa.cli import show
from kaa.cli.derive import from_options, settings_options
from kaa.cluster.settings import DownOptions, UpOptions

__all__ = ["down", "kubectl", "logs", "status", "up", "version"]


@click.command(help="Make a cluster on this machine, in the background, or resume the one there is. Safe to repeat.")
@settings_options(UpOptions)
def up(**options: Any) -> int:
    from kaa.cluster.home import Busy, Home
    from kaa.cluster.up import UpFailed
    from kaa.cluster.up import up as bring_up

    home = Home()
    try:
        report = bring_up(home, from_options(UpOptions, options), show.step)
    except (UpFailed, Busy) as error:
        return show.fail(str(error))
    if not report.started:
        print(f"the cluster in {home.root} is up already")
    else:
        print(f"{'made' if report.made else 'resumed'} in {report.seconds:.2f}s; try: kaa kubectl get nodes")
        print(f"  export KUBECONFIG={home.kubeconfig}")
    return 0


@click.command(help="Stop the cluster: its pods, its processes, its container runtime. `kaa up` resumes it.")
@settings_options(DownOptions)
def down(**options: Any) -> int:
    from kaa.cluster.down import down as take_down
    from kaa.cluster.home import Busy, Home

    home = Home()
    try:
        if not take_down(home, from_options(DownOptions, options), show.step):
            print(f"there is no cluster in {home.root}")
    except (Busy, ValueError) as error:
        return show.fail(str(error))
    return 0


@click.command(help="Show the cluster's processes, its nodes, and where it is reached. Fails when a part is missing.")
def status() -> int:
    from kaa.cluster.home import Home
    from kaa.cluster.status import components

    home = Home()
    state = home.load()
    if state is None:
        return show.fail(f"there is no cluster in {home.root}; run: kaa up")
    found = components(home, state)
    rows = [
        (
            each.name,
            str(each.pid) if each.pid else "-",
            ("running" if each.pid else "STOPPED") if each.expected else "not needed",
            show.age(each.uptime_seconds) if each.pid else "-",
            show.size(each.pss_bytes) if each.pid else "-",
        )
        for each in found
    ]
    show.table(("COMPONENT", "PID", "STATE", "UP", "PSS"), rows)
    total = sum(each.pss_bytes for each in found if each.name != "containerd")
    print(f"\nmemory of Kaa (PSS, without containerd): {show.size(total)}")
    print(f"address:    https://{state.node_ip}:{state.secure_port}")
    print(f"kubeconfig: {home.kubeconfig}")
    print(f"cluster:    {state.id} in {home.root}; pods {state.pod_cidr}, services {state.service_cidr}\n")
    stopped = [each.name for each in found if each.expected and not each.pid]
    if "server" not in stopped:
        from kaa.cli.nodes import print_nodes

        print_nodes(home)
    if stopped:
        return show.fail(f"{', '.join(stopped)} not running; `kaa up` starts what is missing, `kaa logs NAME` says why")
    return 0


@click.command(help="Show the log of a process: server, controllers, agent, simulated or containerd.")
@click.argument("component", type=click.Choice(["server", "controllers", "agent", "simulated", "containerd"]))
@click.option("-f", "--follow", is_flag=True, help="Go on until interrupted.")
@click.option("-n", "--lines", default=200, metavar="COUNT", help="How many of the last lines.", show_default=True)
def logs(component: str, follow: bool, lines: int) -> int:
    from kaa.cluster.home import Home

    home = Home()
    path = home.logs / f"{component}.log"
    if component == "containerd":
        path = home.node / "c" / "containerd.log"
    if not path.exists():
        return show.fail(f"{component} has no log in {home.root}; `kaa status` shows what runs")
    if follow:
        show.follow(path, lines)
        return 0
    with Path(path).open(errors="replace") as file:
        print("".join(file.readlines()[-lines:]), end="")
    return 0


@click.command(help="Show Kaa's version, the API's it serves, and of what it runs on.")
def version() -> int:
    import platform

    from kaa import API_VERSION, GIT_VERSION

    print(f"kaa {GIT_VERSION} (Kubernetes API v{API_VERSION}), Python {platform.python_version()}")
    return 0


@click.command(help="Run the real kubectl on the cluster: everything after it is kubectl's.")
def kubectl() -> int:
    return 0  # `main` takes this command before click does; it is here for the help
