"""Which form a client asked for: the Accept header, `pretty`, and who people are.

The best clause that can be served wins; none is 406, with the media types that are served.
"""

from collections.abc import Callable

from kaa.kinds.spec import KindSpec
from kaa.meta import errors
from kaa.server.forms.accept import JSON_TYPE, PROTOBUF_TYPE, YAML_TYPE, Clause, clauses
from kaa.server.forms.api import Form
from kaa.server.forms.binary import PROTOBUF, PROTOBUF_PARTIALS
from kaa.server.forms.people import PRETTY, PrettyForm, YamlForm, for_people
from kaa.server.forms.plain import JSON, PARTIALS
from kaa.server.forms.table import TableForm

__all__ = ["choose"]

_LISTING = ("list", "deletecollection")
_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_PLAIN = Clause("json", "", "", False)


def choose(spec: KindSpec, verb: str, accept: str, agent: str, parameter: Callable[[str], str], query: str,
           now: Callable[[], float]) -> Form:  # fmt: skip
    """The form of the answer to `verb` on a kind. Raises 406 when nothing the client accepts is served, 400 for a
    table that is asked for wrongly. `parameter` reads one of the `query`."""
    clause: Clause | None = _PLAIN
    if accept and accept not in (JSON_TYPE, "*/*"):
        # Custom resources have no messages, but their metadata has.
        clause = next(
            (each for each in clauses(accept) if each.encoding != "protobuf" or each.shape or spec.protobuf), None
        )
    streaming = verb == "watch"
    if clause is None or (streaming and clause.encoding == "yaml"):
        served = [JSON_TYPE] if streaming else [JSON_TYPE, YAML_TYPE]
        if spec.protobuf:
            served.append(PROTOBUF_TYPE)
        raise errors.not_acceptable(f"{each};stream=watch" if streaming else each for each in served)
    form = _shaped(spec, verb, clause, parameter, now)
    if clause.encoding == "yaml":
        return YamlForm(form)
    if clause.encoding == "json" and not streaming:  # an event is a line, whoever reads it
        pretty = clause.pretty
        given = parameter("pretty") if "pretty" in query else ""
        if pretty or (given in _TRUE if given else for_people(agent)):
            return PRETTY if form is JSON else PrettyForm(form)
    return form


def _shaped(spec: KindSpec, verb: str, clause: Clause, parameter: Callable[[str], str],
            now: Callable[[], float]) -> Form:  # fmt: skip
    if not clause.shape:
        return PROTOBUF if clause.encoding == "protobuf" else JSON
    if clause.shape == "Table":
        include = parameter("includeObject")
        if include not in ("", "None", "Metadata", "Object"):
            raise errors.bad_request(
                f'Unable to convert to Table as requested: includeObject: Invalid value: "{include}": must be '
                "'Metadata', 'Object', 'None', or empty"
            )
        return TableForm(include, now, clause.version)
    # A list is no object, and an object no list: the original names its own types here, which clients do not read.
    package = spec.resource.group.partition(".")[0] or "core"
    if clause.shape == "PartialObjectMetadata" and verb in _LISTING:
        raise errors.StatusError(
            406, "NotAcceptable",
            f"you requested PartialObjectMetadata, but the requested object is a list (*{package}.{spec.kind}List)",
        )  # fmt: skip
    if clause.shape == "PartialObjectMetadataList" and verb not in (*_LISTING, "delete"):
        raise errors.StatusError(
            406, "NotAcceptable",
            f"you requested PartialObjectMetadataList, but the requested object is not a list (*{package}.{spec.kind})",
        )  # fmt: skip
    return (PROTOBUF_PARTIALS if clause.encoding == "protobuf" else PARTIALS)[clause.version]
