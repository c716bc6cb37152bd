"""The container runtime interface: everything below the kubelet.

- **Runtime**: the line itself, a protocol (`api`). A **sandbox** is a pod's shell; **containers** live in sandboxes.
- **adapter**: something that implements the line: `grpc` (any CRI v1 socket, in practice containerd), and
  `kaa.simulated.runtime` (no containers at all).
- **feature**: what a runtime can do and another can't; asked once, at connecting.
- `wire`: the protobuf encoding, compiled from tables; `messages`: the tables, field numbers of CRI v1.
- `containerd_events`: containerd's own event stream, for versions whose CRI has none.

What a pod is, when its containers restart, and where its volumes are does not belong here.
"""
