"""What can be set about the audit of a server."""

from dataclasses import dataclass
from pathlib import Path

__all__ = ["AuditSettings"]


@dataclass(frozen=True)
class AuditSettings:
    """What is audited, and where it is written."""

    #: The audit policy (audit.k8s.io/v1, Policy): what is told of which requests. None: nothing is audited.
    policy_file: Path | None = None
    #: The file that events are appended to, a line of JSON each; "-" is standard output. Empty: no log.
    log_path: str = ""
    #: `batch`: lines are written a moment later, many at once; when they come too fast for that, answers wait for them,
    #: so that none is lost. `blocking`: every request is answered when its lines have been written.
    log_mode: str = "batch"
    #: Days that old log files are kept; 0: any time.
    log_maxage: int = 0
    #: Old log files that are kept; 0: all.
    log_maxbackup: int = 0
    #: Megabytes from which on a new log file is begun; 0: 100.
    log_maxsize: int = 0
    #: Old log files are compressed.
    log_compress: bool = False
    #: A kubeconfig that says which webhook events are sent to. None: to none.
    webhook_config_file: Path | None = None
    #: `batch` or `blocking`, as for the log.
    webhook_mode: str = "batch"
    #: Events that wait for the webhook at most; what comes on top is dropped and counted.
    webhook_batch_buffer_size: int = 10_000
    #: Events in one call.
    webhook_batch_max_size: int = 400
    #: Seconds that events wait for others before they are sent.
    webhook_batch_max_wait: float = 30.0
    #: Calls per second, on average and at once.
    webhook_batch_throttle_qps: float = 10.0
    webhook_batch_throttle_burst: int = 15
    #: Seconds before the first repetition of a call that failed.
    webhook_initial_backoff: float = 10.0
