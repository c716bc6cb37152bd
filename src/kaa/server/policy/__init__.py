"""The roles every cluster has from the start, as tables that read like what they grant.

A table names a role and, indented below it, its rules: verbs, API groups, resources, and the names a rule is bound to.
`-` is the core group; `read`, `write` and `all` stand for the usual verbs; what begins with a slash is a path. A list
that ends in a comma goes on in the next line.
The facts are those of the original's bootstrap policy (`rbac/bootstrappolicy`), release 1.36.

- `people`: roles for users, nodes and the parts of a control plane, and what they are bound to.
- `controllers`: one role for each controller, bound to the account of its name in kube-system.
- `namespaced`: roles within kube-system and kube-public.
- `own`: what the parts of this implementation need beyond, each with its reason.
- `table`: reads the tables.
- `rules`: what a rule covers: of a request, and of another rule.
"""
