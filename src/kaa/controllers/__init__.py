"""The default controllers: each brings the objects of one kind to what their spec says, seeing only the API.

- `defaults`: the explicit list of what a cluster runs; `settings`: what can be set about it.
- `namespace`: empties a namespace that is going, and lets it go.
- `serviceaccount`: the `default` account and the `kube-root-ca.crt` config map of each namespace.
- `certificates`: requests for certificates: approved, signed and cleaned up.
- `deployment`: replica sets, one per template, rolled from one to the next.
- `replicas`: as many pods as a ReplicaSet or ReplicationController says.
- `endpoints`: who stands behind a Service: slices, the older Endpoints, and slices mirrored from hand-made Endpoints.
- `garbage`: what has lost its owners goes; foreground and orphan deletion.
- `nodelifecycle`: nodes that fell silent, their taints, and the pods that must leave them; `nodeipam`: pod addresses.
- `podgc`: pods that nobody else will remove.
- `resourcequota`: what namespaces use of their quotas, counted anew when something goes.
- `volumeprotection`: claims and volumes that are in use do not go.
- `loadbalancer`: services of type LoadBalancer, served on the nodes' own addresses.
- `shared`: what several of them need. No controller imports another.

Words: a *plan* is what should be done, made by a pure function from views of the present state; carrying it out is the
only part that awaits. To *claim* is to see which dependents are an owner's: those it controls and still selects, and
those it adopts; what it selects no more it releases. A pod is *active* when it neither finished nor is being deleted,
*available* when it has been ready for `minReadySeconds`.

What does not belong here: queues, caches, retries (see `kaa.runtime`), rules of kinds (see `kaa.kinds`).
"""
