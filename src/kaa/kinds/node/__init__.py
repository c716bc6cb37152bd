"""Rules of the node group: `runtimeclass` has the RuntimeClasses."""
