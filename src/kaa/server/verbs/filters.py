"""What a list, a watch or a collection's deletion is restricted to: a namespace and selectors."""

from kaa.kinds.spec import KindSpec
from kaa.meta import errors
from kaa.meta.selectors import FieldSelector, LabelSelector, SelectorError, parse_fields, parse_labels
from kaa.server.cache import Cached
from kaa.server.call import Call
from kaa.server.objects import served_form

__all__ = ["Filter", "filter_of", "read_filter"]


class Filter:
    """A namespace ("": all), a label selector and a field selector, matched against entries of the cache."""

    __slots__ = ("fields", "labels", "name", "namespace", "spec")

    def __init__(self, namespace: str, labels: LabelSelector | None, fields: FieldSelector | None,
                 spec: KindSpec | None = None) -> None:  # fmt: skip
        self.namespace = namespace
        #: Whose field names `fields` uses, where they may not be those of the stored version.
        self.spec = spec if spec is not None and (spec.conversion is not None or spec.custom) else None
        self.labels = labels
        self.fields = fields
        #: The one name that can match, where the field selector says so.
        self.name = fields.exact("metadata.name") if fields is not None else None

    @property
    def everything(self) -> bool:
        """No selector at all."""
        return self.labels is None and self.fields is None

    def matches(self, cached: Cached) -> bool:
        """The object is in the namespace and passes both selectors."""
        if self.namespace and cached.namespace != self.namespace:
            return False
        if self.labels is not None and not self.labels.matches(cached.labels):
            return False
        if self.fields is None:
            return True
        if self.spec is not None and cached.spec is not self.spec:
            obj = served_form(self.spec, cached)
            return self.fields.matches({name: read(obj) for name, read in self.spec.selectable.items()})
        return self.fields.matches(cached.fields)


def filter_of(call: Call) -> Filter:
    """The request's selectors; raises 400 for what cannot be parsed or is not selectable."""
    request = call.request
    labels = request.param("labelSelector") if "labelSelector" in request.query else ""
    fields = request.param("fieldSelector") if "fieldSelector" in request.query else ""
    return read_filter(call.spec, call.namespace, call.info.name, labels, fields)


def read_filter(spec: KindSpec, namespace: str, name: str, labels: str, fields: str) -> Filter:
    """Selectors from their text. `name` is the name in the path, or the one the field selector leaves."""
    try:
        label_selector = parse_labels(labels) if labels else None
        field_selector = parse_fields(fields) if fields else None
    except SelectorError as error:
        raise errors.bad_request(str(error)) from error
    if field_selector is not None and field_selector.empty:
        field_selector = None
    if field_selector is not None:
        for requirement in field_selector.requirements:
            if requirement.field not in spec.selectable:
                _refuse_unless_common(spec, requirement.field)
        if not namespace and spec.namespaced:
            # One namespace of all: its objects lie together, the others need not be looked at.
            namespace = field_selector.exact("metadata.namespace") or ""
    if name:
        if field_selector is None:
            field_selector = parse_fields(f"metadata.name={name}")
        elif field_selector.exact("metadata.name") != name:
            raise errors.bad_request("fieldSelector metadata.name doesn't match requested name")
    return Filter(namespace, label_selector if label_selector is None or not label_selector.empty else None,
                  field_selector, spec)  # fmt: skip


def _refuse_unless_common(spec: KindSpec, field: str) -> None:
    """Kinds that name their fields refuse others in one wording, those that do not in another; the latter take
    `metadata.namespace` even without namespaces (nothing matches a value then). Job has words of its own."""
    if spec.custom or spec.rules.selectable:
        if (spec.resource.group, spec.kind) == ("batch", "Job"):
            raise errors.bad_request(f'field label "{field}" not supported for batchv1.Job')
        raise errors.bad_request(f"field label not supported: {field}")
    if field != "metadata.namespace":
        raise errors.bad_request(f'"{field}" is not a known field selector: only "metadata.name", "metadata.namespace"')
