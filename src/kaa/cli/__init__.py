"""The `kaa` command.

- `main`: the commands, and nothing that takes time to import: what a command needs is loaded when it runs.
- `derive`: options of a command from a settings dataclass. `show`: lines and tables for people.
- `clusters`, `nodes`, `images`, `parts`: what the commands do.

What belongs here is words and exit codes; what is done is `kaa.cluster`'s.
"""
