"""The scores again, the slow way: one node and one pod at a time, in whole numbers as the rules are written."""

import math

from kaa.meta import quantity
from kaa.scheduler.registry import WEIGHTS

HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"


def _needs(pod, assumed):
    cpu = memory = 0
    for container in pod["spec"]["containers"]:
        requests = container.get("resources", {}).get("requests", {})
        cpu += quantity.milli(requests["cpu"]) if "cpu" in requests else (100 if assumed else 0)
        memory += quantity.value(requests["memory"]) if "memory" in requests else (200 * 2**20 if assumed else 0)
    return cpu, memory


def _matches(selector, labels):
    return all(labels.get(k) == v for k, v in selector.items())


class Reference:
    def __init__(self, nodes, pods, default_selector=None):
        self.nodes = {n["metadata"]["name"]: n for n in nodes}
        self.pods = pods
        self.default_selector = default_selector

    def on(self, name):
        return [p for p in self.pods if p["spec"].get("nodeName") == name]

    def labels(self, name):
        return self.nodes[name]["metadata"].get("labels", {})

    def capacity(self, name):
        offered = self.nodes[name]["status"]["allocatable"]
        return quantity.milli(offered.get("cpu", 0)), quantity.value(offered.get("memory", 0))

    def fit(self, name, pod):
        used = [_needs(p, True) for p in (*self.on(name), pod)]
        total = weight = 0
        for capacity, requested in zip(self.capacity(name), map(sum, zip(*used, strict=True)), strict=True):
            if capacity == 0:
                continue
            total += 0 if requested > capacity else (capacity - requested) * 100 // capacity
            weight += 1
        return total // weight if weight else 0

    def balanced(self, name, pod):
        if _needs(pod, False) == (0, 0):
            return 0
        used = [_needs(p, False) for p in (*self.on(name), pod)]
        shares = []
        for capacity, requested in zip(self.capacity(name), map(sum, zip(*used, strict=True)), strict=True):
            if capacity:
                shares.append(min(1.0, requested / capacity))
        std = abs((shares[0] - shares[1]) / 2) if len(shares) == 2 else 0.0
        return int((1 - std) * 100.0)

    def taints(self, names, pod):
        raw = {}
        for name in names:
            disliked = [
                t for t in self.nodes[name].get("spec", {}).get("taints", []) if t["effect"] == "PreferNoSchedule"
            ]
            raw[name] = sum(
                not any(t["key"] == taint["key"] for t in pod["spec"].get("tolerations", [])) for taint in disliked
            )
        most = max(raw.values())
        return {n: 100 if most == 0 else 100 - 100 * v // most for n, v in raw.items()}

    def node_affinity(self, names, pod):
        affinity = pod["spec"].get("affinity", {}).get("nodeAffinity", {})
        raw = {}
        for name in names:
            raw[name] = sum(
                each["weight"]
                for each in affinity.get("preferredDuringSchedulingIgnoredDuringExecution", [])
                if all(self.labels(name).get(e["key"]) in e["values"] for e in each["preference"]["matchExpressions"])
            )
        most = max(raw.values())
        return raw if most == 0 else {n: 100 * v // most for n, v in raw.items()}

    def images(self, name, pod):
        total = 0
        for container in pod["spec"]["containers"]:
            holders = {
                n: image["sizeBytes"]
                for n, node in self.nodes.items()
                for image in node["status"].get("images", [])
                if container["image"] in image["names"]
            }
            if name in holders:
                total += int(float(holders[name]) * (len(holders) / len(self.nodes)))
        least, most = 23 * 2**20, 1000 * 2**20 * len(pod["spec"]["containers"])
        return 100 * (min(max(total, least), most) - least) // (most - least)

    def spread(self, names, pod):
        own = pod["spec"].get("topologySpreadConstraints", [])
        if own:
            soft = [
                (c["topologyKey"], c["maxSkew"], c["labelSelector"]["matchLabels"])
                for c in own
                if c["whenUnsatisfiable"] == "ScheduleAnyway"
            ]
        elif self.default_selector:
            soft = [(HOST, 3, self.default_selector), (ZONE, 5, self.default_selector)]
        else:
            soft = []
        if not soft:
            return dict.fromkeys(names, 0)

        def counted(name, selector):
            return sum(
                _matches(selector, p["metadata"].get("labels", {}))
                and p["metadata"]["namespace"] == pod["metadata"]["namespace"]
                and "deletionTimestamp" not in p["metadata"]
                for p in self.on(name)
            )

        ignored = {n for n in names if own and any(key not in self.labels(n) for key, _, _ in soft)}
        raw = {}
        for name in names:
            score = 0.0
            for key, skew, selector in soft:
                domains = {self.labels(n).get(key, "") for n in names if n not in ignored}
                size = len(names) - len(ignored) if key == HOST else len(domains)
                if key not in self.labels(name):
                    continue
                if key == HOST:
                    count = counted(name, selector)
                else:
                    count = sum(
                        counted(n, selector)
                        for n in self.nodes
                        if self.labels(n).get(key) == self.labels(name)[key]
                        and not (own and any(k not in self.labels(n) for k, _, _ in soft))
                    )
                score += float(count) * math.log(float(size + 2)) + float(skew - 1)
            raw[name] = math.floor(score + 0.5)
        counts = [v for n, v in raw.items() if n not in ignored]
        result = {}
        for name in names:
            if name in ignored:
                result[name] = 0
            elif max(counts) == 0:
                result[name] = 100
            else:
                result[name] = 100 * (max(counts) + min(counts) - raw[name]) // max(counts)
        return result

    def pod_affinity(self, names, pod):
        raw = dict.fromkeys(names, 0)
        anything = False

        def terms(of, part, kind):
            return of["spec"].get("affinity", {}).get(part, {}).get(f"{kind}DuringSchedulingIgnoredDuringExecution", [])

        def add(owner, other, other_node, term, weight):
            nonlocal anything
            anything = True
            if other["metadata"]["namespace"] != owner["metadata"]["namespace"]:
                return
            if not _matches(term["labelSelector"]["matchLabels"], other["metadata"].get("labels", {})):
                return
            key = term["topologyKey"]
            domain = self.labels(other_node).get(key)
            if domain is not None:
                for name in names:
                    if self.labels(name).get(key) == domain:
                        raw[name] += weight

        for placed in self.pods:
            at = placed["spec"]["nodeName"]
            for part, sign in (("podAffinity", 1), ("podAntiAffinity", -1)):
                for each in terms(pod, part, "preferred"):
                    add(pod, placed, at, each["podAffinityTerm"], sign * each["weight"])
                for each in terms(placed, part, "preferred"):
                    term = each["podAffinityTerm"]
                    if placed["metadata"]["namespace"] == pod["metadata"]["namespace"] and _matches(
                        term["labelSelector"]["matchLabels"], pod["metadata"].get("labels", {})
                    ):
                        domain = self.labels(at).get(term["topologyKey"])
                        for name in names:
                            if domain is not None and self.labels(name).get(term["topologyKey"]) == domain:
                                raw[name] += sign * each["weight"]
        least, most = min(raw.values()), max(raw.values())
        if most == least:
            return dict.fromkeys(names, 0)
        return {n: int(100.0 * (float(v - least) / float(most - least))) for n, v in raw.items()}

    def feasible(self, name, pod):
        cpu, memory = _needs(pod, False)
        used = [_needs(p, False) for p in self.on(name)]
        for capacity, requested, wanted in zip(
            self.capacity(name), map(sum, zip((0, 0), *used, strict=True)), (cpu, memory), strict=True
        ):
            if wanted and wanted > capacity - requested:
                return False
        return len(used) < int(self.nodes[name]["status"]["allocatable"]["pods"])

    def totals(self, pod):
        names = [n for n in self.nodes if self.feasible(n, pod)]
        if not names:
            return {}
        tables = {
            "TaintToleration": self.taints(names, pod),
            "NodeAffinity": self.node_affinity(names, pod),
            "PodTopologySpread": self.spread(names, pod),
            "InterPodAffinity": self.pod_affinity(names, pod),
            "NodeResourcesFit": {n: self.fit(n, pod) for n in names},
            "NodeResourcesBalancedAllocation": {n: self.balanced(n, pod) for n in names},
            "ImageLocality": {n: self.images(n, pod) for n in names},
        }
        return {n: sum(WEIGHTS[k] * table[n] for k, table in tables.items()) for n in names}
