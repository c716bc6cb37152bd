"""One plugin, one module. None imports another; `kaa.scheduler.registry` lists them."""
