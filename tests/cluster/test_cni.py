"""The pod network's configuration, and what is taken away with it."""

import json
from pathlib import Path

import pytest

from kaa.cluster.cni import PodNetwork, host_port_removals

# The lines are as iptables prints them.
LISTING = """\
-P PREROUTING ACCEPT
-N CNI-DN-aaa
-N CNI-DN-bbb
-N CNI-HOSTPORT-DNAT
-N CNI-HOSTPORT-MASQ
-N CNI-HOSTPORT-SETMARK
-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT
-A POSTROUTING -m comment --comment "CNI portfwd requiring masquerade" -j CNI-HOSTPORT-MASQ
-A CNI-DN-aaa -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.2:80
-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: \\"kaa-one\\" id: \\"x\\"" -j CNI-DN-aaa
"""
OTHER = '-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: \\"kaa-one2\\" id: \\"y\\"" -j CNI-DN-bbb\n'


def test_removes_all_of_ours_and_the_shared_chains_nobody_uses() -> None:
    said = [" ".join(words) for words in host_port_removals(LISTING, "kaa-one")]
    assert said[0].startswith("-D CNI-HOSTPORT-DNAT -p tcp")
    assert said[0].endswith("-j CNI-DN-aaa")
    assert said[1:3] == ["-F CNI-DN-aaa", "-X CNI-DN-aaa"]
    assert "-D PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT" in said
    assert "-D POSTROUTING -m comment --comment CNI portfwd requiring masquerade -j CNI-HOSTPORT-MASQ" in said
    chains = ["CNI-HOSTPORT-DNAT", "CNI-HOSTPORT-MASQ", "CNI-HOSTPORT-SETMARK"]
    assert said[-6:] == [f"-F {chain}" for chain in chains] + [f"-X {chain}" for chain in chains]


def test_leaves_anothers_rules_alone() -> None:
    said = [" ".join(words) for words in host_port_removals(LISTING + OTHER, "kaa-one")]
    assert len(said) == 3
    assert not any("bbb" in line or "PREROUTING" in line for line in said)
    assert host_port_removals(LISTING, "kaa-on") == []


def test_nothing_of_ours_is_nothing_to_do() -> None:
    assert host_port_removals("", "kaa-one") == []
    assert host_port_removals(LISTING, "kaa-other") == []


@pytest.mark.parametrize(
    ("id_", "bridge"), [("ab12", "kaa-ab12"), ("abcdefghijk", "kaa-abcdefghijk"), ("abcdefghijkl", "kaa-d682ed4ca4d")]
)
def test_bridge_names_fit_a_link(tmp_path: Path, id_: str, bridge: str) -> None:
    network = PodNetwork(id_, ["10.1.0.0/24"], tmp_path, tmp_path)
    assert network.bridge == bridge
    assert len(network.bridge) <= 15


def test_conflist(tmp_path: Path) -> None:
    network = PodNetwork("one", ["10.1.0.0/24", "fd00::/64"], tmp_path / "conf", tmp_path / "ipam", mtu=1450)
    network.write()
    written = json.loads((tmp_path / "conf" / "10-kaa.conflist").read_text())
    bridge, portmap = written["plugins"]
    assert written["name"] == "kaa-one"
    assert (bridge["bridge"], bridge["mtu"], bridge["hairpinMode"], bridge["ipMasq"]) == ("kaa-one", 1450, True, False)
    assert bridge["ipam"]["ranges"] == [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00::/64"}]]
    assert portmap["capabilities"] == {"portMappings": True}
