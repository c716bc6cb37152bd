"""Values encrypted on their way into the store: what lies on the disk is not what the API shows.

- *provider*: a way of encrypting, with its keys: `aesgcm`, `aescbc`, `secretbox`; `identity` leaves values as they are.
- *transformer*: one or more providers in order. The first writes, all read; each value names, in its first bytes, the
  provider and the key that wrote it (`k8s:enc:aesgcm:v1:key1:`), as the original's do.
- *stale*: written by another provider or key than the one that writes now. Such a value is written anew whenever its
  object is written, though nothing about the object has changed: that is how keys are rotated.
- *unreadable*: encrypted in a way, or with a key, that is not at hand. Reading the object is an error, which names it.

`configuration` reads the file (`apiserver.config.k8s.io/v1`, EncryptionConfiguration), `transformers` does the work,
`store` is a `Store` that encrypts what it passes on, `reload` follows changes of the file. The key in the store is the
associated data: a value copied under another key does not open.

What does not belong here: which objects there are (`server.objects`), keys kept by others (`kms` is refused by name).
"""

from kaa.server.encryption.configuration import EncryptionConfig, EncryptionConfigError, load
from kaa.server.encryption.reload import FollowedConfig
from kaa.server.encryption.store import EncryptedStore

__all__ = ["EncryptedStore", "EncryptionConfig", "EncryptionConfigError", "FollowedConfig", "load"]
