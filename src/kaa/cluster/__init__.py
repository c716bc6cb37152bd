"""Assembling a cluster on this machine: the only package that may import every part.

- `preflight`: what the machine lacks, and the command that mends it.
- `containerd`: a container runtime of our own, a daemon that outlives Kaa and is **adopted** by the next; `remains`:
  taking away all it has left. `cni`: a node's pod network.
- `images`: images without a registry; `imagefile`: the part of a Dockerfile that needs nothing to run in;
  `builtin_images`: those a cluster brings along; `image_store`: the images at a node.
- `home`: where a cluster keeps what it has, and what it remembers of itself. `choices`: ports and ranges nobody uses.
- `settings`: what can be set, with a paragraph each. `certificates`, `pki`: who the parts are.
- `daemons`: processes that are started detached and found again; `process`: what each of them does at its start and
  end; `server_process`, `controllers_process`, `agent_process`, `simulated_process`: one each; `parts`: what
  they share.
- `up`, `down`, `status`, `node`: what the commands do. `local`: a whole cluster in one process.
"""
