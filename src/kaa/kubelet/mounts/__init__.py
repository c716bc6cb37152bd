"""A pod's volumes as directories on the node, and what of them each container sees.

- **payload** (`payload`): the files of a config map, secret, projected or downward API volume; pure.
- **atomic writer** (`atomic`): puts a payload in place by one rename, so that readers never see half of a change.
- **objects** (`objects`): the config maps and secrets that the node's pods refer to, each watched by itself.
- **tokens** (`tokens`): bound service account tokens, renewed in time.
- **volumes** (`volumes`): one pod's volumes: made, kept current, taken away. `binds`: container mounts, subPath.
- **kernel** (`kernel`): mount and unmount.

Volumes that outlive pods (claims, CSI, NFS) do not belong here yet: they are refused by name.
"""
