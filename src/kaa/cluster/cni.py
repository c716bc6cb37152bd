"""A node's pod network as a CNI configuration: bridge, host-local addresses, host ports; and every trace of it gone.

`ipMasq` is off: the bridge plugin's own rule would hide a pod's address from pods on other nodes, which policies, logs
and the conformance suite must see; one masquerade rule for what leaves the cluster is the network part's. `hairpinMode`
is on, so that a pod reaches itself through its own Service. Names derive from the cluster's id, so that
clusters on one machine do not collide.
"""

import hashlib
import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kaa.base.log import Logger

__all__ = ["BIN_DIRS", "PLUGINS", "PodNetwork", "plugin_dir"]

_log = Logger("cni")

BIN_DIRS = ("/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni")
PLUGINS = ("bridge", "host-local", "portmap", "loopback")
_LINK_NAME_MAX = 15


def plugin_dir() -> str | None:
    """The first directory that holds all the plugins we use; None if there is none."""
    for directory in BIN_DIRS:
        if all((Path(directory) / plugin).is_file() for plugin in PLUGINS):
            return directory
    return None


@dataclass(frozen=True)
class PodNetwork:
    """The pod network of one node."""

    cluster_id: str
    """What names derive from."""
    pod_cidrs: Sequence[str]
    """The node's ranges: one, or one per family."""
    conf_dir: Path
    """containerd's `conf_dir`, of this node only."""
    state_dir: Path
    """Where host-local remembers addresses, of this node only."""
    mtu: int = 0
    """0: the links' default (1500). An overlay wants its header's size less."""
    prefix: Sequence[str] = ()
    """Put before each command, to run it in a node's network namespace: `nsenter --net=...`."""

    @property
    def name(self) -> str:
        """The CNI network's name; portmap writes it into its rules' comments."""
        return f"kaa-{self.cluster_id}"

    @property
    def bridge(self) -> str:
        """The bridge's link name: at most 15 characters, whatever the id's length."""
        name = f"kaa-{self.cluster_id}"
        if len(name) <= _LINK_NAME_MAX:
            return name
        return "kaa-" + hashlib.sha256(self.cluster_id.encode()).hexdigest()[: _LINK_NAME_MAX - 4]

    @property
    def path(self) -> Path:
        """The configuration file."""
        return self.conf_dir / "10-kaa.conflist"

    def conflist(self) -> dict[str, object]:
        """The configuration as CNI 1.0.0 reads it."""
        bridge: dict[str, object] = {
            "type": "bridge",
            "bridge": self.bridge,
            "isDefaultGateway": True,
            "ipMasq": False,
            "hairpinMode": True,
            "ipam": {
                "type": "host-local",
                "dataDir": str(self.state_dir),
                "ranges": [[{"subnet": cidr}] for cidr in self.pod_cidrs],
            },
        }
        if self.mtu:
            bridge["mtu"] = self.mtu
        return {
            "cniVersion": "1.0.0",
            "name": self.name,
            "plugins": [bridge, {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True}],
        }

    def write(self) -> None:
        """Put the configuration in place; containerd watches the directory and takes it up by itself."""
        self.conf_dir.mkdir(parents=True, exist_ok=True)
        self.state_dir.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(".tmp")  # containerd ignores files it has no suffix for
        draft.write_text(json.dumps(self.conflist(), indent=2))
        draft.replace(self.path)

    def remove(self) -> None:
        """Take away the bridge, the addresses, the host port rules and the configuration. Idempotent. Pods that
        still run lose their network."""
        self.path.unlink(missing_ok=True)
        self._run("ip", "link", "delete", self.bridge)
        for command in ("iptables", "ip6tables"):
            if shutil.which(command):
                self._remove_host_ports(command)
        shutil.rmtree(self.state_dir, ignore_errors=True)

    def _run(self, *argv: str) -> str:
        """Its output; empty when it failed, which in a removal means: already gone."""
        done = subprocess.run([*self.prefix, *argv], capture_output=True, text=True, timeout=30, check=False)
        return done.stdout if done.returncode == 0 else ""

    def _remove_host_ports(self, command: str) -> None:
        for rule in host_port_removals(self._run(command, "-w", "-t", "nat", "-S"), self.name):
            self._run(command, "-w", "-t", "nat", *rule)


def host_port_removals(listing: str, network: str) -> list[list[str]]:
    """The arguments that take away what portmap has left of this network, from `iptables -t nat -S`.

    Its shared chains go too once nobody else's rules are in them.
    """
    lines = [shlex.split(line) for line in listing.splitlines()]
    ours = f'name: "{network}"'
    removals, chains, others = [], set(), 0
    for line in lines:
        if line[:2] != ["-A", "CNI-HOSTPORT-DNAT"]:
            continue
        if any(ours in word for word in line):
            removals.append(["-D", *line[1:]])
            chains.add(line[-1])
        else:
            others += 1
    for chain in sorted(chains):
        removals += [["-F", chain], ["-X", chain]]
    if others == 0:
        shared = sorted({line[1] for line in lines if line[0] == "-N" and re.match(r"CNI-HOSTPORT-", line[1])})
        removals += [["-D", *line[1:]] for line in lines if line[0] == "-A" and line[-1] in shared]
        for chain in shared:
            removals.append(["-F", chain])
        removals += [["-X", chain] for chain in shared]
    return removals
