"""Assembling a cluster on this machine: the only package that may import every part.

- `preflight`: what the machine lacks, and the command that mends it.
- `containerd`: a container runtime of our own, a daemon that outlives Kaa and is **adopted** by the next; `remains`:
  taking away all it has left. `cni`: a node's pod network.
- `images`: images without a registry; `imagefile`: the part of a Dockerfile that needs nothing to run in;
  `builtin_images`: those a cluster brings along; `image_store`: the images at a node.
"""
