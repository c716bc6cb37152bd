"""What the cluster adds to a write, or refuses of it, after authorization and before the store.

A plugin changes (`mutate`) or refuses (`validate`); all plugins mutate before any validates. `api` holds the contract
and the chain, one module each plugin, `default_plugins` the explicit list in the original's order.
"""
