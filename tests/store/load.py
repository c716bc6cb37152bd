"""A process that writes to a store and says what was acknowledged; `test_durability` kills it, or watches its calls.

`load.py once STORE ACKS COMMITS [unsynced]`: write that many commits and end.
`load.py rounds`: for each line `STORE ACKS SEED` on standard input, fork a process that writes until it is killed, and
print its pid; print `ended STATUS` when it has died. Forking saves each round the start of an interpreter.

An acknowledgement is one line, written by one call, so it is in the file whole or not at all:
`put KEY REVISION` or `delete KEY REVISION`.
"""

import asyncio
import os
import random
import sys

from kaa.store import Delete, Put
from kaa.store.sqlite import SqliteStore, writer

WRITERS = 6


async def write(store, acks, name, chance, commits):
    """Write keys of its own: create, change under a condition, delete; some commits have two ops."""
    known = {}
    done = 0
    while commits is None or done < commits:
        done += 1
        key = f"{name}/{chance.randrange(30)}"
        if key in known and chance.random() < 0.2:
            revision = await store.commit(Delete(key, known.pop(key)))
            os.write(acks, f"delete {key} {revision}\n".encode())
            continue
        other = f"{name}/extra/{done}"
        ops = [Put(key, chance.randbytes(chance.randrange(1, 3000)), known.get(key, 0))]
        if chance.random() < 0.2:
            ops.append(Put(other, b"x", 0))
        known[key] = await store.commit(*ops)
        lines = [f"put {op.key} {known[key]}\n" for op in ops]
        os.write(acks, "".join(lines).encode())


async def load(path, acks_path, seed, commits, *, unsynced=False):
    store = await SqliteStore.open(path, history_revisions_max=2000)
    if unsynced:  # to see that the proof would notice
        store._writer._db.execute("PRAGMA synchronous = OFF")
    acks = os.open(acks_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    await asyncio.gather(
        *(write(store, acks, f"/{seed}/{n}", random.Random(f"{seed}/{n}"), commits) for n in range(WRITERS))
    )
    await store.close()


def rounds():
    for line in sys.stdin:
        path, acks_path, seed = line.split()
        pid = os.fork()
        if pid == 0:
            try:
                asyncio.run(load(path, acks_path, seed, None))
            finally:
                os._exit(1)
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print("ended", status, flush=True)


if __name__ == "__main__":
    # Small, so that checkpoints are part of what is killed and watched.
    writer._CHECKPOINT_BYTES = 256 * 1024
    if sys.argv[1] == "rounds":
        rounds()
    else:
        asyncio.run(load(sys.argv[2], sys.argv[3], "once", int(sys.argv[4]), unsynced="unsynced" in sys.argv[5:]))
