"""Rules of storage.

- `volume`: PersistentVolumes; `sources`: what lies behind them; `claims`: PersistentVolumeClaims.
- `classes`: StorageClasses and VolumeAttributesClasses.
- `csi`: drivers, what of them is on a node, and how much they can still give; `attachment`: VolumeAttachments.
"""
