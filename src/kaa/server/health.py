"""/healthz, /livez, /readyz, /version and /metrics."""

from collections.abc import Callable, Mapping

from kaa import API_VERSION, GIT_VERSION
from kaa.base.clock import Clock
from kaa.base.lag import BOUNDS_SECONDS, LagMeter
from kaa.http.api import Request, Response
from kaa.server import forms
from kaa.server.request import User

__all__ = ["Health"]

#: A check answers what is wrong, or "".
Check = Callable[[], str]


class Health:
    """Named checks, each also under a path of its own; `?verbose` shows all, `?exclude=` leaves some out."""

    def __init__(self, clock: Clock) -> None:
        self._checks: dict[str, Check] = {"ping": lambda: ""}
        self._ready_only: set[str] = set()
        self._clock = clock
        self._started = clock.monotonic()
        self.gauges: dict[str, Callable[[], float]] = {}
        self.counts: Mapping[str, int] = {}
        self.lag = LagMeter()

    def add(self, name: str, check: Check, *, ready_only: bool = False) -> None:
        """One more check; `ready_only` ones do not make the process look dead."""
        self._checks[name] = check
        if ready_only:
            self._ready_only.add(name)

    def answer(self, request: Request, user: User) -> Response:
        """The state of everything, or of one check."""
        parts = request.path.strip("/").split("/")
        endpoint, only = parts[0], parts[1] if len(parts) > 1 else ""
        names = [name for name in self._checks if endpoint == "readyz" or name not in self._ready_only]
        if only:
            if only not in names:
                return Response(404, f"404 page not found: no check named {only}\n".encode(), "text/plain")
            names = [only]
        excluded = set(request.params.get("exclude", ()))
        lines, failed = [], False
        for name in names:
            if name in excluded:
                lines.append(f"[+]{name} excluded: ok")
                continue
            wrong = self._checks[name]()
            failed = failed or bool(wrong)
            lines.append(f"[-]{name} failed: {wrong}" if wrong else f"[+]{name} ok")
        if failed:
            return Response(500, "\n".join([*lines, f"{endpoint} check failed\n"]).encode(), "text/plain")
        if "verbose" in request.params:
            return Response(200, "\n".join([*lines, f"{endpoint} check passed\n"]).encode(), "text/plain")
        return Response(200, b"ok", "text/plain; charset=utf-8")

    def version(self, request: Request, user: User) -> Response:
        """What clients compare themselves with."""
        major, minor = API_VERSION.split(".")
        return forms.render({
            "major": major, "minor": minor, "emulationMajor": major, "emulationMinor": minor,
            "minCompatibilityMajor": major, "minCompatibilityMinor": minor,
            "gitVersion": GIT_VERSION, "gitCommit": "", "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z",
            "goVersion": "none", "compiler": "cpython", "platform": "linux/amd64",
        })  # fmt: skip

    def metrics(self, request: Request, user: User) -> Response:
        """Counters in the Prometheus text form."""
        lines = ["# TYPE apiserver_request_total counter"]
        lines += [f'apiserver_request_total{{verb="{verb.upper()}"}} {count}' for verb, count in self.counts.items()]
        said = ""
        for name, read in self.gauges.items():
            base = name.partition("{")[0]  # several of one name differ by their labels
            if base != said:
                lines.append(f"# TYPE {base} {'counter' if base.endswith('_total') else 'gauge'}")
                said = base
            lines.append(f"{name} {read():g}")
        lines += _histogram("kaa_event_loop_lag_seconds", self.lag)
        lines += ["# TYPE process_uptime_seconds gauge",
                  f"process_uptime_seconds {self._clock.monotonic() - self._started:.3f}", ""]  # fmt: skip
        return Response(200, "\n".join(lines).encode(), "text/plain; version=0.0.4")


def _histogram(name: str, lag: LagMeter) -> list[str]:
    lines, total = [f"# TYPE {name} histogram"], 0
    for bound, count in zip((*BOUNDS_SECONDS, "+Inf"), lag.counts, strict=True):
        total += count
        lines.append(f'{name}_bucket{{le="{bound}"}} {total}')
    return [*lines, f"{name}_sum {lag.sum_seconds:g}", f"{name}_count {total}"]
