"""What only tests import: contract suites, builders, faults. Production code never does.

- `store_contract`: what every `kaa.store` driver must do, as one class of tests that a driver's tests inherit.
- `builders`: objects in few words: `pod("a").on("node-a").ready()`.
"""
