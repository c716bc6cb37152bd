"""Cluster DNS, version 1.1.0 of the Kubernetes specification, on one node.

- `wire`: queries and answers as bytes.
- `zone`: which names exist and what they answer. Pure; fed with services, endpoint slices and namespaces.
- `forward`: other names, asked of the host's resolvers, with a small cache.
- `server`: the sockets, and the cache of finished answers that makes a repeated question cheap.
- `edge`: keeps a zone up to date from informers, and says what the Service kube-dns should look like.

A *name* is a tuple of lower-case labels without the root: `("web", "default", "svc", "cluster", "local")`.
"""
