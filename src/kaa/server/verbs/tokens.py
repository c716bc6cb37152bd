"""Continue tokens: where a list in pages goes on. Opaque to clients, and in the original's form.

A token holds the revision that all pages show, and the smallest key of what is left. Revision -1 is the token of an
expired list: it goes on from the newest state, at the price of consistency.
"""

import base64
import binascii
import posixpath
import re

import orjson

from kaa.meta import errors

__all__ = ["LATEST", "decode_token", "encode_token"]

#: The revision of a token that goes on from the newest state.
LATEST = -1
_VERSION = "meta.k8s.io/v1"
_OUTSIDE = re.compile(r"[^A-Za-z0-9_-]")


def encode_token(revision: int, last_key: str) -> str:
    """The token of a list that goes on behind `last_key`."""
    raw = orjson.dumps({"v": _VERSION, "rv": revision, "start": last_key + "\0"})
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decode_token(token: str) -> tuple[int, str]:
    """The revision, and the smallest key that is left; raises 400 for what is no token of ours."""
    outside = _OUTSIDE.search(token)
    if outside is not None or len(token) % 4 == 1:
        at = outside.start() if outside is not None else len(token)
        raise _refusal(f"continue key is not valid: illegal base64 data at input byte {at}")
    try:
        raw = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (ValueError, binascii.Error) as error:
        raise _refusal(f"continue key is not valid: {error}") from error
    if not isinstance(raw, dict):
        raise _refusal("continue key is not valid: it is no object")
    version, revision, start = raw.get("v", ""), raw.get("rv", 0), raw.get("start", "")
    if not isinstance(version, str) or type(revision) is not int or not isinstance(start, str):
        raise _refusal("continue key is not valid: a field has the wrong type")
    if version != _VERSION:
        raise _refusal(f'continue key is not valid: server does not recognize this encoded version "{version}"')
    if revision == 0:
        raise _refusal(f"continue key is not valid: incorrect encoded start resourceVersion (version {_VERSION})")
    if not start:
        raise _refusal(f"continue key is not valid: encoded start key empty (version {_VERSION})")
    rooted = start if start.startswith("/") else f"/{start}"
    if posixpath.normpath(rooted) != rooted:  # such as "../secrets/..."
        raise _refusal(f"continue key is not valid: {start}")
    return revision, rooted[1:]


def _refusal(why: str) -> errors.StatusError:
    return errors.bad_request(f"invalid continue token: {why}")
