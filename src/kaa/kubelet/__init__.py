"""The kubelet: makes the pods bound to its node real, through the CRI line, and says how they are doing.

- **pod**: what the API says should run; **seen**: what the runtime says does run (`seen`).
- **plan** (`lifecycle`): what to do next, decided purely from the two, the time and a **memo** (back-offs, failures of
  earlier tries, probe verdicts). **status** (`status`): what to tell the API, also pure.
- **worker** (`worker`): carries out the plans of one pod, one at a time; has a task only while there is work.
  `pods` owns all workers; `starting` and `stopping` are the two things a worker does.
- **config** (`containers`, `security`, `env`): a pod in the words of CRI.
- **volumes** (`mounts`): directories made from what a pod references, and kept current.
- **probes**, **images**, **cgroups**, **node** (registration, heartbeats), **logs**, **server** (the node's endpoint).
- `kubelet.Kubelet` puts them together; `settings.Settings` is what can be set.

Everything container-like goes through `cri.api.Runtime`; everything of the cluster through `kaa.client`. Networks of
pods (CNI is the runtime's), services and scheduling do not belong here.
"""
