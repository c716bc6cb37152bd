"""The commands of `kaa`. Nothing slow is imported before a command needs it."""

import importlib
import os
import sys
from typing import Any

__all__ = ["main"]

# Command -> (module of kaa.cli, its function, what it does): the module is loaded when the command is used.
_COMMANDS = {
    "up": ("clusters", "up", "Make a cluster on this machine, or resume it."),
    "down": ("clusters", "down", "Stop the cluster; with --delete, leave nothing of it."),
    "status": ("clusters", "status", "Show what runs, and how it does."),
    "logs": ("clusters", "logs", "Show the log of one of the cluster's processes."),
    "kubectl": ("clusters", "kubectl", "Run the real kubectl on the cluster."),
    "node": ("nodes", "node", "List, add and remove nodes."),
    "image": ("images", "image", "Load, build and list images, without a registry."),
    "version": ("clusters", "version", "Show versions."),
    "server": ("parts", "server", "Run the API server and its store, in the foreground."),
    "controllers": ("parts", "controllers", "Run the controllers and the scheduler, in the foreground."),
    "agent": ("parts", "agent", "Run a node's kubelet, proxy and DNS server, in the foreground."),
    "simulated-nodes": ("parts", "simulated_nodes", "Run nodes that are not there, in the foreground."),
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    if words[:1] == ["kubectl"] and words[1:2] != ["--kaa-help"]:
        # Its flags are its own; and it should start as if it had been called directly.
        from kaa.cli.kubectl import run_kubectl

        return run_kubectl(words[1:])
    import click

    class _Commands(click.Group):
        def list_commands(self, ctx: click.Context) -> list[str]:
            return list(_COMMANDS)

        def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
            if name not in _COMMANDS:
                return None
            module, function, _ = _COMMANDS[name]
            found: click.Command = getattr(importlib.import_module(f"kaa.cli.{module}"), function)
            return found

        def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
            with formatter.section("Commands"):
                formatter.write_dl([(name, what) for name, (_, _, what) in _COMMANDS.items()])

    group = _Commands(
        name="kaa",
        help="Kubernetes, in Python. A cluster's files are in $KAA_HOME (~/.kaa).",
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )
    try:
        result: Any = group.main(words, prog_name="kaa", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        # Whoever read our output has enough (`kaa logs | head`).
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    return result if isinstance(result, int) else 0


if __name__ == "__main__":
    sys.exit(main())
