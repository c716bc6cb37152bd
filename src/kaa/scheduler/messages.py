"""What users read when a pod does not fit, in the words they know. Pure."""

from collections.abc import Mapping

__all__ = ["NO_NODES", "fit_message"]

NO_NODES = "no nodes available to schedule pods"


def fit_message(nodes: int, pre_filter: str, reasons: Mapping[str, int], post_filter: str = "") -> str:
    """`0/3 nodes are available: 2 Insufficient cpu, ...`: the reasons sorted as text, with how many nodes each."""
    message = f"0/{nodes} nodes are available:"
    if pre_filter:
        message += f" {pre_filter}."
    elif reasons:
        message += f" {', '.join(sorted(f'{count} {reason}' for reason, count in reasons.items() if count))}."
    if post_filter:
        message += f" {post_filter}"
    return message
