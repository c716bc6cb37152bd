"""One client for every kind, and the caches that a process shares. Works against any conformant API server, in JSON.

- `client`: `Client`, the verbs (get, list, create, update, patch, delete, watch) over a `kaa.http` transport.
- `wire`: what those verbs send and how answers and errors are read. Pure.
- `listers`: `Lister`, an indexed, read-only picture of the objects of one kind.
- `reflector`: keeps a picture equal to the server's: list, watch, resume, list again when the past is compacted.
- `informers`: `Informer`, a reflector with its lister and its subscribers; `Informers`, one of each per process.
- `config`: kubeconfig files and the credentials a pod finds in its file system.

Words: a *view* is the typed, read-only form of an object (`kaa.kinds.views`); JSON means a plain dict in the wire form.
A *revision* is a resourceVersion as a number. A *key* is `namespace/name`, or `name` for what has no namespace.

What does not belong here: queues, retries of reconciles, back-off per object (see `kaa.runtime`), rules of kinds.
"""

from kaa.client.client import Client
from kaa.client.informers import Informer, Informers
from kaa.client.listers import Lister
from kaa.client.wire import Listing, WatchEvent

__all__ = ["Client", "Informer", "Informers", "Lister", "Listing", "WatchEvent"]
