"""Rules of dynamic resource allocation.

- `claims`: ResourceClaims and their templates; `allocation`: what a claim's status says it was given.
- `classes`: DeviceClasses; `slices`: ResourceSlices, `devices`: what stands in them.
- `common`: names, selectors, tolerations and opaque parameters that these share.
"""
