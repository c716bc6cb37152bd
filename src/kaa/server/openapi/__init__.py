"""OpenAPI v2 and v3, derived from the registry: what clients validate against, merge by and explain from.

- `documents`: `OpenApi`, the answers under /openapi; a document per group version (v3) and one of everything (v2), made
  when asked for, kept as long as the kinds they are about stay.
- `definitions`: a kind's schema as named definitions, in the form of either version.
- `custom`: the schema of a custom kind, which brings its own words.
- `paths`: the operations on a kind.
- `descriptions`: sentences for `kubectl explain`, read at run time from a package that has them, where it is installed.
- `protobuf`: the v2 document as protobuf, which clients in Go ask for.

What a field means is the business of `kaa.kinds`; these documents only tell it.
"""

from kaa.server.openapi.documents import OpenApi

__all__ = ["OpenApi"]
