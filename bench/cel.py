"""Microseconds to compile and to evaluate what rules of custom resources and policies look like.

    python bench/cel.py

The figures of one process on one core, best of five rounds. Compiling happens once per rule; evaluating per request.
"""

import time
from collections.abc import Callable
from typing import Any

from kaa import cel

STRING: dict[str, Any] = {"type": "string"}
INTEGER: dict[str, Any] = {"type": "integer"}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "replicas": INTEGER,
        "minReplicas": INTEGER,
        "maxReplicas": INTEGER,
        "ratio": {"type": "number"},
        "host": STRING,
        "since": {"type": "string", "format": "date-time"},
        "labels": {"type": "object", "additionalProperties": STRING},
        "containers": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "name": STRING,
                    "image": STRING,
                    "ports": {"type": "array", "items": {"type": "object", "properties": {"containerPort": INTEGER}}},
                },
            },
        },
    },
}
SELF: dict[str, Any] = {
    "replicas": 3,
    "minReplicas": 1,
    "maxReplicas": 5,
    "ratio": 0.5,
    "host": "web.example.com",
    "since": "2026-01-01T00:00:00Z",
    "labels": {"app": "web", "tier": "front"},
    "containers": [
        {"name": f"c{n}", "image": f"registry.example.com/app:{n}", "ports": [{"containerPort": 8000 + n}]}
        for n in range(10)
    ],
}
RULES = [
    "self.replicas <= self.maxReplicas",
    "self.minReplicas <= self.replicas && self.replicas <= self.maxReplicas",
    "self.replicas == oldSelf.replicas",
    "!has(self.host) || self.host.endsWith('.example.com')",
    "self.host.matches('^[a-z.]+$')",
    "has(self.labels.app) && self.labels['app'] in ['web', 'api']",
    "self.containers.all(c, c.image.startsWith('registry.example.com/'))",
    "self.containers.all(c, c.ports.all(p, p.containerPort > 1024))",
    "self.containers.exists_one(c, c.name == 'c7')",
    "self.containers.map(c, c.name).filter(n, n != 'c1').size() == 9",
    "self.since < timestamp('2027-01-01T00:00:00Z') && self.ratio < 1.0",
    "quantity('500m').isLessThan(quantity('2'))",
]


def best(run: Callable[[], object], seconds: float = 0.05) -> float:
    """Microseconds of one call: the best of five rounds."""
    times = 1
    while True:
        start = time.perf_counter()
        for _ in range(times):
            run()
        took = time.perf_counter() - start
        if took > seconds / 5:
            break
        times *= 4
    rounds = []
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(times):
            run()
        rounds.append((time.perf_counter() - start) / times)
    return min(rounds) * 1e6


def main() -> None:
    """Print the table, and what the largest evaluation takes."""
    kind = cel.type_of_openapi(SCHEMA)
    assert kind is not None
    env = cel.Environment({"self": kind, "oldSelf": kind})
    bindings = {"self": SELF, "oldSelf": SELF}
    print(f"{'compile µs':>10} {'evaluate µs':>11} {'cost':>5}  rule")
    for rule in RULES:
        program = env.compile(rule, cel.BOOL)
        value, cost = program.evaluate_costing(bindings)
        assert value is True, rule
        compiling = best(lambda rule=rule: env.compile(rule, cel.BOOL))
        evaluating = best(lambda program=program: program.evaluate(bindings))
        print(f"{compiling:10.1f} {evaluating:11.2f} {cost:5}  {rule}")
    print(f"{best(lambda: cel.type_of_openapi(SCHEMA)):10.1f} µs to make the types of the schema")
    start = time.perf_counter()
    try:
        cel.Environment({"items": cel.list_of(cel.INT)}).compile(
            "items.all(a, items.all(b, a == b || a != b))"
        ).evaluate({"items": list(range(1000))})
    except cel.BudgetExceeded:
        print(f"{(time.perf_counter() - start) * 1e3:10.1f} ms for an evaluation that costs the whole limit of a call")


if __name__ == "__main__":
    main()
