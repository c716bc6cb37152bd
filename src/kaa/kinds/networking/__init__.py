"""Rules of the networking group: ingresses, network policies, address ranges."""
