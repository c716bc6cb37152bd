"""PodSecurity: the Pod Security Standards, asked of pods and of what makes pods.

- `policy`: a *level* (privileged, baseline, restricted) at a *version* ("latest", "v1.25"), for each of three *modes*
  (enforce refuses, warn warns, audit tells the log), read from a namespace's labels and the cluster's defaults.
- `baseline`, `restricted`: the *checks*, each one control of the standards: what it forbids, and its words.
- `standards`: which check holds at which level and version.
- `plugin`: when all this is asked; exemptions.
"""

from kaa.server.admission.podsecurity.plugin import PodSecurity
from kaa.server.admission.podsecurity.policy import PodSecuritySettings

__all__ = ["PodSecurity", "PodSecuritySettings"]
