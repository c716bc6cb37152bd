"""Rules of the RBAC group: roles and bindings."""
