"""Rules of the discovery group: `slices` has the EndpointSlices."""
