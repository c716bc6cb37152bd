"""Kubernetes' own libraries that ask the cluster's rules: named formats, the authorizer, keys of JSON patches."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol

from kaa.meta import names

from . import times
from .addresses import request_uri_problem
from .errors import EvaluationError
from .functions import Registry
from .values import NONE, Optional

__all__ = ["AUTHORIZER", "REGISTRY", "RESOURCE_CHECK", "Access", "Authorizer", "AuthorizerValue", "Decision"]

REGISTRY = Registry()
_declare = REGISTRY.declare
FORMAT = REGISTRY.type("kubernetes.NamedFormat")

# -- named formats


@dataclass(frozen=True, slots=True)
class _Format:
    cel_type: ClassVar[str] = "kubernetes.NamedFormat"
    name: str
    problems: Callable[[str], Iterable[str]]
    #: How long its regular expression is taken to be, for the cost.
    regex_size: int

    @property
    def cel_size(self) -> int:
        return len(self.name)


_UUID = re.compile(r"[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}\Z")
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})\Z")


def _prefix(check: Callable[[str], Iterable[str]]) -> Callable[[str], Iterable[str]]:
    """A prefix of a name may end with a dash: something will follow it."""

    def run(text: str) -> Iterable[str]:
        return check(text[:-1] + "a" if len(text) > 1 and text.endswith("-") else text)

    return run


def _when(wrong: Callable[[str], bool], message: str) -> Callable[[str], Iterable[str]]:
    return lambda text: (message,) if wrong(text) else ()


def _unread(form: str) -> Callable[[str], bool]:
    def run(text: str) -> bool:
        try:
            times.parse_json_date_time(text, form)
        except EvaluationError:
            return True
        return False

    return run


def _uri(text: str) -> Iterable[str]:
    problem = request_uri_problem(text)
    return (problem,) if problem else ()


_FORMATS: dict[str, _Format] = {
    name: _Format(shown, problems, size)
    for name, shown, problems, size in (
        ("dns1123Label", "DNS1123Label", names.dns1123_label, 30),
        ("dns1123Subdomain", "DNS1123Subdomain", names.dns1123_subdomain, 60),
        ("dns1035Label", "DNS1035Label", names.dns1035_label, 30),
        ("qualifiedName", "QualifiedName", names.qualified_name, 60),
        ("dns1123LabelPrefix", "DNS1123LabelPrefix", _prefix(names.dns1123_label), 30),
        ("dns1123SubdomainPrefix", "DNS1123SubdomainPrefix", _prefix(names.dns1123_subdomain), 60),
        ("dns1035LabelPrefix", "DNS1035LabelPrefix", _prefix(names.dns1035_label), 30),
        ("labelValue", "LabelValue", names.label_value, 40),
        ("uri", "URI", _uri, 1000),
        ("uuid", "uuid", _when(lambda text: not _UUID.match(text), "does not match the UUID format"), 100),
        ("byte", "byte", _when(lambda text: not _BASE64.match(text), "invalid base64"), 90),
        ("date", "date", _when(_unread("date"), "invalid date"), 150),
        ("datetime", "datetime", _when(_unread("date-time"), "invalid datetime"), 150),
    )
}


def _validate(form: _Format, text: str) -> Optional:
    problems = list(form.problems(text))
    return Optional(True, problems) if problems else NONE


def _named(name: str) -> Optional:
    form = _FORMATS.get(name)
    return NONE if form is None else Optional(True, form)


for _name, _form in _FORMATS.items():
    _declare(f"format.{_name}() -> kubernetes.NamedFormat", lambda _form=_form: _form)
_declare("format.named(string) -> optional(kubernetes.NamedFormat)", _named)
_declare("<kubernetes.NamedFormat>.validate(string) -> optional(list(string))", _validate, cost="validate")

# -- the authorizer


@dataclass(frozen=True, slots=True)
class Access:
    """What is asked of the authorizer. With a path, a request for no resource."""

    verb: str = ""
    path: str = ""
    group: str = ""
    version: str = "*"
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    field_selector: str = ""
    label_selector: str = ""
    #: Who is asked about: (namespace, name) of a service account; None for whoever made the request.
    service_account: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What the authorizer answered."""

    cel_type: ClassVar[str] = "kubernetes.authorization.Decision"
    allowed: bool
    reason: str = ""
    error: str = ""


class Authorizer(Protocol):
    """Who may do what, asked while an expression runs: it must answer at once, without waiting."""

    def decide(self, access: Access) -> Decision:
        """The decision. Called at most twice in an evaluation (each costs 350,000)."""
        ...


@dataclass(frozen=True, slots=True)
class AuthorizerValue:
    """The value of the variable `authorizer`."""

    cel_type: ClassVar[str] = "kubernetes.authorization.Authorizer"
    authorizer: Authorizer
    access: Access = Access()


@dataclass(frozen=True, slots=True)
class _PathCheck(AuthorizerValue):
    cel_type: ClassVar[str] = "kubernetes.authorization.PathCheck"


@dataclass(frozen=True, slots=True)
class _GroupCheck(AuthorizerValue):
    cel_type: ClassVar[str] = "kubernetes.authorization.GroupCheck"


@dataclass(frozen=True, slots=True)
class ResourceCheck(AuthorizerValue):
    """The value of `authorizer.requestResource`, and what `resource()` makes."""

    cel_type: ClassVar[str] = "kubernetes.authorization.ResourceCheck"


AUTHORIZER = REGISTRY.type("kubernetes.authorization.Authorizer")
RESOURCE_CHECK = REGISTRY.type("kubernetes.authorization.ResourceCheck")
for _name in ("PathCheck", "GroupCheck", "Decision"):
    REGISTRY.type(f"kubernetes.authorization.{_name}")
_A, _P, _G, _R, _D = (
    f"kubernetes.authorization.{name}"
    for name in ("Authorizer", "PathCheck", "GroupCheck", "ResourceCheck", "Decision")
)


def _path(value: AuthorizerValue, path: str) -> _PathCheck:
    if not path.strip():
        raise EvaluationError("path must not be empty")
    return _PathCheck(value.authorizer, replace(value.access, path=path))


def _service_account(value: AuthorizerValue, namespace: str, name: str) -> AuthorizerValue:
    if problems := names.dns1123_subdomain(name):
        raise EvaluationError(f"Invalid service account name: {', '.join(problems)}")
    if problems := names.dns1123_label(namespace):
        raise EvaluationError(f"Invalid service account namespace: {', '.join(problems)}")
    return AuthorizerValue(value.authorizer, replace(value.access, service_account=(namespace, name)))


def _group(value: AuthorizerValue, group: str) -> _GroupCheck:
    return _GroupCheck(value.authorizer, replace(value.access, group=group))


def _resource(value: AuthorizerValue, resource: str) -> ResourceCheck:
    if not resource.strip():
        raise EvaluationError("resource must not be empty")
    return ResourceCheck(value.authorizer, replace(value.access, resource=resource))


def _with(field: str) -> Callable[[AuthorizerValue, str], ResourceCheck]:
    def run(value: AuthorizerValue, text: str) -> ResourceCheck:
        change: dict[str, Any] = {field: text}
        return ResourceCheck(value.authorizer, replace(value.access, **change))

    return run


def _check(value: AuthorizerValue, verb: str) -> Decision:
    return value.authorizer.decide(replace(value.access, verb=verb))


_declare(f"<{_A}>.path(string) -> {_P}", _path)
_declare(f"<{_A}>.group(string) -> {_G}", _group)
_declare(f"<{_A}>.serviceAccount(string, string) -> {_A}", _service_account)
_declare(f"<{_G}>.resource(string) -> {_R}", _resource)
for _name, _field in (("subresource", "subresource"), ("namespace", "namespace"), ("name", "name")):
    _declare(f"<{_R}>.{_name}(string) -> {_R}", _with(_field))
_declare(f"<{_R}>.fieldSelector(string) -> {_R}", _with("field_selector"), cost="selector")
_declare(f"<{_R}>.labelSelector(string) -> {_R}", _with("label_selector"), cost="selector")
_declare(f"<{_P}>.check(string) -> {_D}", _check, cost="check")
_declare(f"<{_R}>.check(string) -> {_D}", _check, cost="check")
_declare(f"<{_D}>.allowed() -> bool", lambda decision: decision.allowed)
_declare(f"<{_D}>.reason() -> string", lambda decision: decision.reason)
_declare(f"<{_D}>.errored() -> bool", lambda decision: bool(decision.error))
_declare(f"<{_D}>.error() -> string", lambda decision: decision.error)

# -- patches

_declare("jsonpatch.escapeKey(string) -> string", lambda key: key.replace("~", "~0").replace("/", "~1"), cost="scan")
