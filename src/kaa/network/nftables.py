"""The nftables backend: one table per address family, written as one transaction through `nft -f -`.

nft's text form is used rather than its JSON: it is a third of the size, and nft reads it several times as fast.
"""

import json
from collections.abc import Collection

from kaa.base.log import Logger
from kaa.network import conntrack
from kaa.network.backend import BackendUnsupported, ProxySettings, SyncReport
from kaa.network.ledger import Change, Ledger, changed_ports
from kaa.network.netns import CommandFailed, ToolMissing
from kaa.network.nftables_render import LAYOUT, STATIC_SETS, Family, base, render
from kaa.network.services import Model, PortKey

__all__ = ["NftablesBackend"]

_log = Logger("proxy")
_LOCALNET_WAS_OFF = "route-localnet-was-off"


class _Table:
    """What one table holds, as far as this process wrote it, and the script that leads from there to a new model."""

    def __init__(self, family: Family, settings: ProxySettings, *, same_bridge: bool) -> None:
        self.family, self.settings, self.same_bridge = family, settings, same_bridge
        self.at = f"{family.name} kaa-{settings.cluster_id}"
        self._ledger = Ledger(lambda port: render(port, family, settings))
        self.written = False

    def forget(self) -> None:
        """The kernel's state is unknown: the next script is a full one."""
        self._ledger.clear()
        self.written = False

    def full(self, model: Model, chains: set[str], sets: set[str]) -> list[str]:
        """Replace the table. `chains` and `sets` are what it has now; affinity sets that go on keep their clients."""
        self.forget()
        declare, rules = base(self.family, self.settings, same_bridge=self.same_bridge)
        lines = [f"add table {self.at}"]
        if LAYOUT in chains:
            lines.append(f"flush table {self.at}")
        else:
            # Of another arrangement, or none: begin anew, still in the same transaction.
            lines += [f"delete table {self.at}", f"add table {self.at}"]
            chains, sets = set(), set()
        lines += [line.replace("{t}", self.at) for line in declare]
        if chains:
            lines += [f"flush {kind} {self.at} {name}" for name, kind in STATIC_SETS.items() if name in sets]
        lines += self._spell(self._ledger.change(model, model.ports), sets)
        lines += [line.replace("{t}", self.at) for line in rules]
        kept, kept_sets = self._ledger.names()
        # Only what belongs to service ports can be stale (their names have a slash); the rest was declared above.
        lines += [f"delete chain {self.at} {name}" for name in sorted(chains - kept) if "/" in name]
        lines += [f"delete set {self.at} {name}" for name in sorted(sets - kept_sets) if "/" in name]
        self.written = True
        return lines

    def difference(self, model: Model, changed: list[PortKey]) -> list[str]:
        """What leads from the last model to this one."""
        return self._spell(self._ledger.change(model, changed))

    def _spell(self, change: Change, sets: Collection[str] = ()) -> list[str]:
        at = self.at
        dropped: dict[str, list[str]] = {}
        for where, key in change.dropped:
            dropped.setdefault(where, []).append(key)
        added: dict[str, list[str]] = {}
        for (where, key), leads in change.added.items():
            added.setdefault(where, []).append(f"{key} : {leads}" if leads else key)
        return [
            *(f"add set {at} {name} {text}" for name, text in change.sets_new.items() if name not in sets),
            *(f"add chain {at} {name}" for name in change.chains_new),
            *(f"flush chain {at} {name}" for name in (*change.chains_changed, *change.chains_gone)),
            *(f"delete element {at} {where} {{ {', '.join(keys)} }}" for where, keys in dropped.items()),
            *(
                f"add rule {at} {name} {text}"
                for chains in (change.chains_new, change.chains_changed)
                for name, rules in chains.items()
                for text in rules
            ),
            *(f"add element {at} {where} {{ {', '.join(items)} }}" for where, items in added.items()),
            *(f"delete chain {at} {name}" for name in change.chains_gone),
            *(f"delete set {at} {name}" for name in change.sets_gone),
        ]


class NftablesBackend:
    """Serves the model with nftables maps: looking a service up costs the same for ten and for ten thousand."""

    name = "nftables"

    def __init__(self, settings: ProxySettings) -> None:
        self.settings = settings
        same_bridge = bool(settings.local_pod_cidrs) and not conntrack.bridge_filtered(settings.netns)
        self._tables = [_Table(Family(name), settings, same_bridge=same_bridge) for name in ("ip", "ip6")]
        self._model = Model()

    @classmethod
    def probed(cls, settings: ProxySettings) -> "NftablesBackend":
        """The backend, after a trial transaction that leaves nothing; raises BackendUnsupported."""
        table = f"ip kaa-{settings.cluster_id}-probe"
        declare, rules = base(Family("ip"), settings)
        lines = [f"add table {table}", *(line.replace("{t}", table) for line in (*declare, *rules))]
        lines += [
            f"add rule {table} services meta l4proto tcp dnat ip addr . port to "
            "numgen inc mod 2 map { 0 : 192.0.2.1 . 80, 1 : 192.0.2.2 . 80 }",
            f"delete table {table}",
        ]
        try:
            settings.netns.run(["nft", "-f", "-"], stdin="\n".join(lines) + "\n")
        except ToolMissing as error:
            raise BackendUnsupported(str(error)) from error
        except (CommandFailed, OSError) as error:
            raise BackendUnsupported(
                f"{error}. It needs root (CAP_NET_ADMIN) and a kernel with nf_tables, nft_nat, nft_masq, nft_numgen, "
                "nft_fib, nft_reject and nft_ct: load them with modprobe, or use the iptables backend"
            ) from error
        return cls(settings)

    def sync(self, model: Model) -> SyncReport:
        """As `Backend.sync` says."""
        previous = self._model
        if self._tables[0].written:
            changed = changed_ports(previous, model)
            if not changed:
                self._model = model
                return SyncReport(False, 0, 0)
            try:
                count = self._write(self._script(model, changed))
                self._model = model
                self._flush(previous, model, changed)
                return SyncReport(False, len(changed), count)
            except CommandFailed as error:
                # Somebody else touched the table, or it is gone: write it anew.
                _log.warning("nftables refused a change; writing the whole table", error=str(error)[:500])
        for table in self._tables:
            table.forget()
        try:
            self._localnet()
            count = self._write(self._script(model, None))
        except BaseException:
            for table in self._tables:
                table.forget()
            raise
        self._model = model
        changed = changed_ports(previous, model)
        if previous.ports:
            self._flush(previous, model, changed)
        return SyncReport(True, len(changed), count)

    def intact(self) -> bool:
        """As `Backend.intact` says."""
        for table in self._tables:
            if table.written:
                try:
                    self.settings.netns.run(["nft", "list", "chain", *table.at.split(), LAYOUT])
                except CommandFailed:
                    for each in self._tables:
                        each.forget()
                    return False
        return True

    def cleanup(self) -> None:
        """As `Backend.cleanup` says."""
        lines = []
        for table in self._tables:
            chains, _ = self._present(table)
            if chains is None:
                continue
            if _LOCALNET_WAS_OFF in chains:
                self.settings.netns.sysctl("net/ipv4/conf/all/route_localnet", "0")
            lines.append(f"delete table {table.at}")
            table.forget()
        if lines:
            self._write(lines)
        self._model = Model()

    def _script(self, model: Model, changed: list[PortKey] | None) -> list[str]:
        lines: list[str] = []
        for table in self._tables:
            if changed is not None and table.written:
                lines += table.difference(model, changed)
                continue
            wanted = not table.family.ipv6 or self._speaks_ipv6(model)
            if not wanted and changed is not None:
                continue
            chains, sets = self._present(table)
            if chains is None and not wanted:
                continue
            lines += table.full(model, chains or set(), sets)
            if not table.family.ipv6 and self._localnet_was_off:
                lines.append(f"add chain {table.at} {_LOCALNET_WAS_OFF}")
        return lines

    def _speaks_ipv6(self, model: Model) -> bool:
        family = self._tables[1].family
        return bool(family.mine(self.settings.pod_cidrs)) or any(
            family.mine(p.cluster_ips) or family.mine(p.external_ips) for p in model.ports.values()
        )

    _localnet_was_off = False

    def _localnet(self) -> None:
        """Let 127.0.0.1 be routed, and remember in the table itself that it was off, so that cleanup can restore it."""
        if not self.settings.localhost_node_ports:
            return
        netns = self.settings.netns
        if netns.sysctl("net/ipv4/conf/all/route_localnet") == "0":
            self._localnet_was_off = True
            netns.sysctl("net/ipv4/conf/all/route_localnet", "1")

    def _present(self, table: _Table) -> tuple[set[str] | None, set[str]]:
        """The chains and sets that the kernel has of this table; None when there is no table."""
        family, name = table.at.split()
        run = self.settings.netns.run
        # Not "list tables": for that nft reads every rule and element there is.
        chains = json.loads(run(["nft", "-j", "list", "chains", family]))["nftables"]
        found = {c["chain"]["name"] for c in chains if c.get("chain", {}).get("table") == name}
        if not found:
            return None, set()
        sets = [
            item
            for kind in ("sets", "maps")
            for item in json.loads(run(["nft", "-j", "-t", "list", kind, family]))["nftables"]
        ]
        found_sets = {s[k]["name"] for s in sets for k in ("set", "map") if s.get(k, {}).get("table") == name}
        return found, found_sets

    def _write(self, lines: list[str]) -> int:
        if lines:
            self.settings.netns.run(["nft", "-f", "-"], stdin="\n".join(lines) + "\n")
        return len(lines)

    def _flush(self, before: Model, after: Model, changed: list[PortKey]) -> None:
        conntrack.flush_changed(self.settings.netns, before, after, changed)
