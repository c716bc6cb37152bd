"""Nodes and containers that are not there: production code, for tests, for scale, and for machines without containers.

- `runtime`: the CRI line answered from memory. A **plan** says when a container ends, and how.
- `faults`: errors by plan. `timers`: one task for all waiting. `watchers`: who listens to events.

What decides about pods is the kubelet's own code: only what is below the CRI line is simulated here.
"""
