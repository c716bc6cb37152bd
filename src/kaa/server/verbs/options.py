"""The query of a list or a watch, read and checked: which revision, how much, how long.

Every combination that makes no sense is refused before anything is read. Wording and order of the refusals are the
API's (its ValidateListOptions): first what cannot be parsed (400), then what may not be combined (422, every problem
with its field), then selectors (400).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from kaa.http.api import Request
from kaa.meta import errors
from kaa.meta.problems import Path, Problem, forbidden_field
from kaa.meta.resource import Resource
from kaa.server.call import Call
from kaa.server.verbs.filters import Filter, filter_of

__all__ = ["ListOptions", "list_options", "parse_revision", "request_seconds"]

_OPTIONS = Resource("meta.k8s.io", "v1", "ListOptions", "ListOptions", False)
_INT64_MAX = 2**63 - 1
_UINT64_MAX = 2**64 - 1
_DIGITS = re.compile(r"[0-9]+\Z")
_SIGNED = re.compile(r"[+-]?[0-9]+\Z")
#: How long a request that is no watch may take, and the most that `timeout` can ask for.
REQUEST_SECONDS_MAX = 60.0


@dataclass(slots=True)
class ListOptions:
    """What a list or a watch was asked to be."""

    selection: Filter
    #: Objects per page; 0: all.
    limit: int
    #: Where a list in pages goes on.
    token: str
    #: As it was given: "" and "0" mean different things.
    resource_version: str
    revision: int
    match: str
    #: The rest is of watches.
    bookmarks: bool
    initial: bool | None
    timeout_seconds: int


def list_options(call: Call, *, watch: bool = False) -> ListOptions:
    """Read and check the query; raises 400 and 422."""
    request = call.request
    token, text, match = (request.param(name) for name in ("continue", "resourceVersion", "resourceVersionMatch"))
    limit = max(0, _integer(request, "limit"))
    seconds = _integer(request, "timeoutSeconds")
    initial = _boolean(request, "sendInitialEvents")
    found = list(_watch_problems(token, match, initial) if watch else _list_problems(token, text, match, initial))
    if found:
        raise errors.invalid(_OPTIONS, "", found)
    selection = filter_of(call)
    # A page has the revision of its token; whether it may name another is looked at when the token has been read.
    revision = 0 if token and not watch else parse_revision(text)
    bookmarks = bool(_boolean(request, "allowWatchBookmarks"))
    return ListOptions(selection, limit, token, text, revision, match, bookmarks, initial, seconds)


def parse_revision(text: str) -> int:
    """A resourceVersion of a query, 0 for none; raises 400."""
    if not text:
        return 0
    why = "" if _DIGITS.match(text) else "invalid syntax"
    if not why and (len(text) > 40 or int(text) > _UINT64_MAX):
        why = "value out of range"
    if why:
        # The original says 400 for a list, and fails with a 500 of the same text for a get or a watch.
        raise errors.bad_request(
            f'invalid resource version: resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing '
            f'"{text}": {why}'
        )
    return int(text)


def _integer(request: Request, name: str) -> int:
    """A number of the query; 0 when it is not given."""
    values = request.params.get(name)
    if values is None:
        return 0
    text = values[0]
    if not _SIGNED.match(text):
        raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    if len(text) > 40 or not -_INT64_MAX - 1 <= int(text) <= _INT64_MAX:
        raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": value out of range')
    return int(text)


def _boolean(request: Request, name: str) -> bool | None:
    """A switch of the query: all but "false" and "0" turn it on, even an empty value; None when it is not given."""
    values = request.params.get(name)
    return None if values is None else values[0].lower() not in ("false", "0")


_MATCH, _INITIAL = Path("resourceVersionMatch"), Path("sendInitialEvents")
_WITH_TOKEN = forbidden_field(_MATCH, "resourceVersionMatch is forbidden when continue is provided")


def _unknown_match(match: str, *supported: str) -> Problem:
    listing = ", ".join(f'"{each}"' for each in supported)  # in the original's order, the empty one last
    return Problem(_MATCH, "FieldValueNotSupported", f'Unsupported value: "{match}": supported values: {listing}')


def _list_problems(token: str, text: str, match: str, initial: bool | None) -> Iterator[Problem]:
    if match:
        if not text:
            yield forbidden_field(_MATCH, "resourceVersionMatch is forbidden unless resourceVersion is provided")
        if token:
            yield _WITH_TOKEN
        if match not in ("Exact", "NotOlderThan"):
            yield _unknown_match(match, "Exact", "NotOlderThan", "")
        if match == "Exact" and text == "0":
            yield forbidden_field(_MATCH, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"')
    if initial is not None:
        yield forbidden_field(_INITIAL, "sendInitialEvents is forbidden for list")


def _watch_problems(token: str, match: str, initial: bool | None) -> Iterator[Problem]:
    if initial is not None and match != "NotOlderThan":
        yield forbidden_field(_MATCH, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
    if match:
        if initial is None:
            why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
            yield forbidden_field(_MATCH, why)
        if match != "NotOlderThan":
            yield _unknown_match(match, "NotOlderThan")
        if token:
            yield _WITH_TOKEN


_DURATION = re.compile(r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+\Z")
_PART = re.compile(r"([0-9]*\.?[0-9]*)(ns|us|µs|μs|ms|s|m|h)")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_BARE = re.compile(r"[+-]?[0-9]+\.?[0-9]*\Z")


def request_seconds(request: Request) -> float:
    """How long a request that is no watch may take: its `timeout`, within the server's own limit. Raises 400."""
    text = request.param("timeout") if "timeout=" in request.query else ""
    if text in ("", "0", "+0", "-0"):
        return REQUEST_SECONDS_MAX
    if not _DURATION.match(text):
        shown = text.replace("\\", "\\\\").replace('"', '\\"')
        why = "missing unit in duration" if _BARE.match(text) else "invalid duration"
        raise errors.bad_request(f'invalid timeout specified in the request URL - time: {why} "{shown}"')
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    return seconds if text[0] != "-" and 0 < seconds < REQUEST_SECONDS_MAX else REQUEST_SECONDS_MAX
