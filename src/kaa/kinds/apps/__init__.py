"""Rules of the apps group, and of ReplicationControllers, their ancestor: workloads made from a pod template."""
