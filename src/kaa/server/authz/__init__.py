"""What they may: RBAC, compiled per set of subjects; the explicit `AlwaysAllow` and `AlwaysDeny`."""

from collections.abc import Sequence

from kaa.server.app import Authorize, Decision
from kaa.server.authz.escalation import EscalationCheck
from kaa.server.authz.rbac import Rbac
from kaa.server.objects import Objects
from kaa.server.request import RequestInfo, User

__all__ = ["MODES", "EscalationCheck", "Rbac", "authorizer"]

MODES = ("RBAC", "Node", "AlwaysAllow", "AlwaysDeny")


def authorizer(modes: Sequence[str], objects: Objects) -> Authorize:
    """The authorizer for `--authorization-mode`; the first mode that allows, allows. Raises ValueError by name.

    `Node` is taken together with RBAC: the nodes' role is bound to their group, until the graph of what each node may
    see is served.
    """
    for mode in modes:
        if mode not in MODES:
            raise ValueError(f'authorization mode "{mode}" is not served: use one or more of {", ".join(MODES)}')
    if "AlwaysAllow" in modes:
        return lambda user, info: Decision(True)
    if "RBAC" in modes or "Node" in modes:
        return Rbac(objects)
    return _deny


def _deny(user: User, info: RequestInfo) -> Decision:
    return Decision("system:masters" in user.groups)
