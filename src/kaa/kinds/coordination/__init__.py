"""Rules of the coordination group: `lease` has the Leases."""
