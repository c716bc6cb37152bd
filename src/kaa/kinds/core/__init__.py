"""Rules of the core group: pods and what they are made of, services, data, nodes, storage."""
