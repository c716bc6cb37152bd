"""The API server: one door to the cluster's state, for everyone.

A request passes these rooms, in this order:

- `app`: the handler; finds out what is asked (`request`), who asks (`authn`), whether they may (`authz`), and answers.
- `verbs`: one module per kind of answer: reads, watches, writes, patches, deletions.
- `admission`: what the cluster itself adds to a write, or refuses of it.
- `objects`: objects as keys and bytes in the store; compare-and-swap.
- `cache`: the watch cache. Every read and every watch is served from it; the store calls it with each durable batch.
- `forms`: how an object leaves: JSON, tables, metadata alone, YAML.
- `discovery`, `openapi`: what is served, told to clients.
- `subresources`: what is behind a second name: scale, binding, eviction, token, streams to the nodes.
- `bootstrap`: the objects every cluster has.

What does not belong here: what a kind is (`kaa.kinds`), how bytes last (`kaa.store`), and anything that acts on objects
over time (`kaa.controllers`).
"""
