"""The network of one node: service rules and cluster DNS.

- A *service port* (`services.ServicePort`) is one port of one Service with its endpoints: the unit of the model.
- The *model* (`services.Model`) is every service port that the node must serve. `services.Compiler` builds it from
  Services and EndpointSlices; it is pure.
- A *backend* (`backend.Backend`) renders the model into the kernel and changes only what differs from the last model:
  `nftables` is the first choice, `iptables` the second.
- The *proxy* (`proxy.ServiceProxy`) is the edge: it watches, waits for bursts to pass, and calls the backend.
- A *zone* (`dns.zone.Zone`) answers names of the cluster from the same objects; `dns.server.DnsServer` is its edge,
  and `dns.forward.Forwarder` asks the host's resolvers for the other names.

What does not belong here: giving pods their interfaces (CNI), and anything that decides what an endpoint is (that is
the endpoint slice controller's).
"""
