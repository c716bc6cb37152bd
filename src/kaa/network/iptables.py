"""The iptables backend: `iptables-restore --noflush`, for kernels or firewalls that have no nftables.

Looking a service up costs a walk along the rules, and several thousand services are felt; nftables has no such limit.
"""

from kaa.base.log import Logger
from kaa.network import conntrack
from kaa.network.backend import BackendUnsupported, ProxySettings, SyncReport
from kaa.network.iptables_render import Names, base, hooks, render
from kaa.network.ledger import Change, Ledger, changed_ports
from kaa.network.netns import CommandFailed, ToolMissing
from kaa.network.services import Model, PortKey, is_ipv6

__all__ = ["IptablesBackend"]

_log = Logger("proxy")
TABLES = ("nat", "mangle", "filter")
LOCK_SECONDS = "5"
_PROBE = """*nat
:{c} - [0:0]
-A {c} -p tcp -m statistic --mode nth --every 2 --packet 0 -j DNAT --to-destination 192.0.2.1:80
-A {c} -m addrtype --dst-type LOCAL -m conntrack --ctstate DNAT -m mark --mark 0x1/0x1 -j MARK --set-xmark 0x1/0x1
{more}-A {c} -j MASQUERADE --random-fully
-F {c}
-X {c}
COMMIT
"""


class IptablesBackend:
    """Serves the model with iptables chains."""

    name = "iptables"

    def __init__(self, settings: ProxySettings, *, recent: bool = True) -> None:
        self.settings = settings
        self.names = Names(settings.cluster_id)
        self.recent = recent
        self.same_bridge = bool(settings.local_pod_cidrs) and not conntrack.bridge_filtered(settings.netns)
        self._model = Model()
        self._localnet_was_off = False
        self._written: set[bool] = set()
        self._ledgers = {ipv6: self._ledger(ipv6) for ipv6 in (False, True)}

    def _ledger(self, ipv6: bool) -> Ledger:
        return Ledger(lambda port: render(port, self.names, self.settings, ipv6=ipv6, recent=self.recent))

    @classmethod
    def probed(cls, settings: ProxySettings) -> "IptablesBackend":
        """The backend, after a trial that leaves nothing; raises BackendUnsupported."""
        chain = Names(settings.cluster_id).shared("PROBE")
        restore = ["iptables-restore", "--noflush", "-w", LOCK_SECONDS]
        try:
            settings.netns.run(restore, stdin=_PROBE.format(c=chain, more=""))
        except ToolMissing as error:
            raise BackendUnsupported(str(error)) from error
        except (CommandFailed, OSError) as error:
            raise BackendUnsupported(
                f"{error}. It needs root (CAP_NET_ADMIN) and a kernel with iptable_nat (or nf_tables and nft_compat), "
                "xt_statistic, xt_addrtype, xt_conntrack, xt_mark and xt_MASQUERADE: load them with modprobe"
            ) from error
        more = f"-A {chain} -m recent --name {chain} --set --rsource\n"
        try:
            settings.netns.run(restore, stdin=_PROBE.format(c=chain, more=more))
        except CommandFailed:
            _log.warning("no xt_recent in this kernel: sessionAffinity ClientIP will be refused, service by service")
            return cls(settings, recent=False)
        return cls(settings)

    def sync(self, model: Model) -> SyncReport:
        """As `Backend.sync` says."""
        previous = self._model
        changed = changed_ports(previous, model)
        if self._written:
            if not changed:
                self._model = model
                return SyncReport(False, 0, 0)
            try:
                return self._sync(previous, model, changed, full=False)
            except CommandFailed as error:
                _log.warning("iptables refused a change; writing all chains", error=str(error)[:500])
        self._forget()
        try:
            self._localnet()
            return self._sync(previous, model, changed, full=True)
        except BaseException:
            self._forget()
            raise

    def _sync(self, previous: Model, model: Model, changed: list[PortKey], *, full: bool) -> SyncReport:
        count = 0
        for ipv6 in (False, True):
            if ipv6 in self._written:
                count += self._write(ipv6, self._difference(ipv6, model, changed))
            elif not ipv6 or self._speaks_ipv6(model):
                count += self._write(ipv6, self._full(ipv6, model))
                self._written.add(ipv6)
        self._model = model
        if not self.recent:
            for port in (p for k in changed if (p := model.ports.get(k)) and p.affinity_seconds is not None):
                _log.warning("sessionAffinity ClientIP is not supported: the kernel lacks xt_recent; use nftables",
                             service=f"{port.namespace}/{port.name}")  # fmt: skip
        if previous.ports:
            conntrack.flush_changed(self.settings.netns, previous, model, changed)
        return SyncReport(full, len(changed), count)

    def intact(self) -> bool:
        """As `Backend.intact` says."""
        for ipv6 in self._written:
            tool = "ip6tables" if ipv6 else "iptables"
            for table, chain, rule in hooks(self.names):
                try:
                    self.settings.netns.run([tool, "-w", LOCK_SECONDS, "-t", table, "-C", chain, *rule.split()])
                except CommandFailed:
                    self._forget()
                    return False
        return True

    def cleanup(self) -> None:
        """As `Backend.cleanup` says."""
        for ipv6 in (False, True):
            try:
                present = {table: self._present(ipv6, table) for table in TABLES}
            except (ToolMissing, CommandFailed):
                continue
            lines = []
            for table, (chains, jumps) in present.items():
                if not chains:
                    continue
                lines.append(f"*{table}")
                lines += [f"-D{jump[2:]}" for jump in jumps]
                lines += [f"-F {chain}" for chain in chains]
                lines += [f"-X {chain}" for chain in chains]
                lines.append("COMMIT")
                if self.names.shared("LOCALNET-OFF") in chains:
                    self.settings.netns.sysctl("net/ipv4/conf/all/route_localnet", "0")
            self._write(ipv6, lines)
        self._forget()
        self._model = Model()

    def _forget(self) -> None:
        self._written.clear()
        for ledger in self._ledgers.values():
            ledger.clear()

    def _speaks_ipv6(self, model: Model) -> bool:
        return any(is_ipv6(c) for c in self.settings.pod_cidrs) or any(
            is_ipv6(ip) for p in model.ports.values() for ip in (*p.cluster_ips, *p.external_ips)
        )

    def _localnet(self) -> None:
        netns = self.settings.netns
        name = "net/ipv4/conf/all/route_localnet"
        if self.settings.localhost_node_ports and netns.sysctl(name) == "0":
            self._localnet_was_off = True
            netns.sysctl(name, "1")

    def _present(self, ipv6: bool, table: str) -> tuple[set[str], list[str]]:
        """Our chains in this table, and the rules of built-in chains that lead to them."""
        tool = "ip6tables-save" if ipv6 else "iptables-save"
        saved = self.settings.netns.run([tool, "-t", table]).splitlines()
        prefix = f"{self.names.prefix}-"
        chains = {line[1:].split(" ", 1)[0] for line in saved if line.startswith(f":{prefix}")}
        jumps = [line for line in saved if line.startswith("-A ") and f"-j {prefix}" in line]
        return chains, [line for line in jumps if not line.startswith(f"-A {prefix}")]

    def _full(self, ipv6: bool, model: Model) -> list[str]:
        ledger = self._ledgers[ipv6]
        ledger.clear()
        shared = base(self.names, self.settings, ipv6=ipv6, same_bridge=self.same_bridge)
        change = ledger.change(model, model.ports)
        lines: list[str] = []
        for table in TABLES:
            chains, jumps = self._present(ipv6, table)
            marker = self.names.shared("LOCALNET-OFF")
            ours = {*shared[table], *(n.split(" ")[1] for n in change.chains_new if n.startswith(f"{table} "))}
            if table == "nat" and (marker in chains or (self._localnet_was_off and not ipv6)):
                ours.add(marker)
            stale = sorted(chains - ours)
            lines.append(f"*{table}")
            # Declaring a chain empties it; all of this becomes visible at once, at COMMIT.
            lines += [f":{name} - [0:0]" for name in (*sorted(ours), *stale)]
            lines += [f"-A {name} {rule}" for name, rules in shared[table].items() for rule in rules]
            lines += self._spell(table, change, declare=False)
            wanted = [f"-A {chain} {rule}" for t, chain, rule in hooks(self.names) if t == table]
            lines += [f"-I{rule[2:]}" for rule in wanted if rule not in jumps]
            lines += [f"-X {name}" for name in stale]
            lines.append("COMMIT")
        return lines

    def _difference(self, ipv6: bool, model: Model, changed: list[PortKey]) -> list[str]:
        change = self._ledgers[ipv6].change(model, changed)
        lines: list[str] = []
        for table in TABLES:
            if spelled := self._spell(table, change):
                lines += [f"*{table}", *spelled, "COMMIT"]
        return lines

    def _spell(self, table: str, change: Change, *, declare: bool = True) -> list[str]:
        start = f"{table} "
        cut = len(start)
        made = {**change.chains_new, **change.chains_changed}
        chains = {name[cut:]: rules for name, rules in made.items() if name.startswith(start)}
        gone = [name[cut:] for name in change.chains_gone if name.startswith(start)]
        return [
            *(f":{name} - [0:0]" for name in (*chains, *gone) if declare),
            *(
                f"-D {where[cut:]} {match} -j {leads}"
                for (where, match), leads in change.dropped.items()
                if where.startswith(start)
            ),
            *(f"-A {name} {rule}" for name, rules in chains.items() for rule in rules),
            *(
                f"-A {where[cut:]} {match} -j {leads}"
                for (where, match), leads in change.added.items()
                if where.startswith(start)
            ),
            *(f"-X {name}" for name in gone),
        ]

    def _write(self, ipv6: bool, lines: list[str]) -> int:
        if lines:
            tool = "ip6tables-restore" if ipv6 else "iptables-restore"
            self.settings.netns.run([tool, "--noflush", "-w", LOCK_SECONDS], stdin="\n".join(lines) + "\n")
        return len(lines)
