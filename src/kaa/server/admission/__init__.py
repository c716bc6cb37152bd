"""What the cluster adds to a write, or refuses of it, after authorization and before the store.

A plugin changes (`mutate`) or refuses (`validate`); all plugins mutate before any validates. `api` holds the contract
and the chain, one module each plugin, `default_plugins` the explicit list in the original's order.

What others extend it by: `webhooks` (their programs are asked) and `policies` (their expressions are run). These two
share `matching` (which writes they are about), `review` (what they are told, in which version) and `expressions`.
"""
