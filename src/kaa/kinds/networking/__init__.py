"""Rules of the networking group.

- `ingress`: hosts, paths and backends from outside; `ingressclass`: who serves them.
- `policy`: NetworkPolicies.
- `addresses`: ServiceCIDRs and the IPAddresses taken out of them.
"""
