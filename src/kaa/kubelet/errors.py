"""Why a container or a pod can't be started: each error carries the reason its status shows."""

__all__ = ["CannotStart", "ConfigError", "VolumeFailed"]


class CannotStart(Exception):
    """The container's state becomes waiting with this reason and message. `retry_seconds` is when to try again."""

    def __init__(self, reason: str, message: str, retry_seconds: float = 10.0) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.retry_seconds = retry_seconds


class ConfigError(CannotStart):
    """What the container refers to is missing or contradicts itself."""

    def __init__(self, message: str, retry_seconds: float = 10.0) -> None:
        super().__init__("CreateContainerConfigError", message, retry_seconds)


class VolumeFailed(Exception):
    """A volume can't be made now: event FailedMount, and the pod's containers wait. `retry_seconds` as above."""

    def __init__(self, volume: str, message: str, retry_seconds: float = 10.0) -> None:
        super().__init__(message)
        self.volume = volume
        self.message = message
        self.retry_seconds = retry_seconds
