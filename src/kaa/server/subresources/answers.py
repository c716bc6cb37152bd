"""What subresources answer that have nothing of their own to show."""

from typing import Any

__all__ = ["success"]


def success(code: int) -> dict[str, Any]:
    """It is done."""
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": code}
