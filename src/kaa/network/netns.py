"""Doing things inside another network namespace: running commands, and making sockets.

A node may be a network namespace of its own while its agent runs in the host's. Commands enter by `nsenter --net`, and
sockets are made in a short-lived thread that calls setns: `ip netns exec` would also remount /sys and hide cgroups.
"""

import ctypes
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

__all__ = ["CommandFailed", "Netns", "ToolMissing"]

T = TypeVar("T")
CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin", "LC_ALL": "C"}
_PACKAGE_OF = {"nft": "nftables", "conntrack": "conntrack", "nsenter": "util-linux", "ip": "iproute2"}


class ToolMissing(RuntimeError):
    """A program that is needed isn't installed; the message says which package has it."""

    def __init__(self, tool: str) -> None:
        package = _PACKAGE_OF.get(tool, "iptables" if "tables" in tool else tool)
        super().__init__(f"{tool} is not installed: install the package {package} (apt-get install {package})")
        self.tool = tool


class CommandFailed(RuntimeError):
    """A program ended with an error; the message holds what it said."""

    def __init__(self, command: Sequence[str], code: int, said: str) -> None:
        super().__init__(f"{' '.join(command)} failed with {code}: {said.strip()[:2000]}")
        self.code, self.said = code, said


@dataclass(frozen=True, slots=True)
class Netns:
    """A network namespace, by path (`/run/netns/node-1`, `/proc/123/ns/net`); an empty path is the current one."""

    path: str = ""

    @classmethod
    def of_pid(cls, pid: int) -> "Netns":
        """The namespace a process is in."""
        return cls(f"/proc/{pid}/ns/net")

    def run(self, command: Sequence[str], *, stdin: str | None = None, timeout_seconds: float = 120.0) -> str:
        """Run a program inside; its standard output. Blocks. Raises ToolMissing or CommandFailed."""
        tool = shutil.which(command[0], path=_ENVIRONMENT["PATH"])
        if tool is None:
            raise ToolMissing(command[0])
        full = [tool, *command[1:]]
        if self.path:
            enter = shutil.which("nsenter", path=_ENVIRONMENT["PATH"])
            if enter is None:
                raise ToolMissing("nsenter")
            full = [enter, f"--net={self.path}", "--", *full]
        try:
            done = subprocess.run(
                full, input=stdin, stdin=subprocess.DEVNULL if stdin is None else None, capture_output=True, text=True,
                timeout=timeout_seconds, env=_ENVIRONMENT, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise CommandFailed(command, -1, f"no end after {timeout_seconds} s") from error
        if done.returncode != 0:
            raise CommandFailed(command, done.returncode, done.stderr or done.stdout)
        return done.stdout

    def call(self, function: Callable[[], T]) -> T:
        """Call `function` in a thread of its own that is inside; for making sockets and reading /proc/self/net."""
        if not self.path:
            return function()
        result: list[T] = []
        failure: list[BaseException] = []

        def inside() -> None:
            try:
                handle = os.open(self.path, os.O_RDONLY)
                try:
                    if _libc.setns(handle, CLONE_NEWNET) != 0:
                        number = ctypes.get_errno()
                        raise OSError(number, f"cannot enter {self.path}: {os.strerror(number)}")
                finally:
                    os.close(handle)
                result.append(function())
            except BaseException as error:
                failure.append(error)

        # The thread is never reused: it dies in the namespace that it entered.
        thread = threading.Thread(target=inside, name="netns")
        thread.start()
        thread.join()
        if failure:
            raise failure[0]
        return result[0]

    def sysctl(self, name: str, value: str | None = None) -> str:
        """Read, or write and read, a `net.*` setting, by its path below /proc/sys (`net/ipv4/ip_forward`)."""

        def inside() -> str:
            # /proc/sys/net shows the namespace of the thread that opens it.
            path = f"/proc/sys/{name}"
            if value is not None:
                with open(path, "w") as file:
                    file.write(value)
            with open(path) as file:
                return file.read().strip()

        return self.call(inside)

    def listen(self, kind: int, address: str, port: int) -> socket.socket:
        """A bound, non-blocking socket inside (listening, when `kind` is SOCK_STREAM)."""

        def inside() -> socket.socket:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            made = socket.socket(family, kind)
            try:
                if kind == socket.SOCK_STREAM:
                    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                # The address may come later: a bridge gets its own with the first pod.
                level, option = (socket.IPPROTO_IPV6, 78) if family == socket.AF_INET6 else (socket.IPPROTO_IP, 15)
                made.setsockopt(level, option, 1)
                if family == socket.AF_INET6:
                    made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                made.bind((address, port))
                if kind == socket.SOCK_STREAM:
                    made.listen(512)
                made.setblocking(False)
            except OSError:
                made.close()
                raise
            return made

        return self.call(inside)
