"""Questions put as objects: who does this token stand for, may this user do that, give me a token.

Nothing is stored; the answer is the object with its status filled in.
"""

from collections.abc import Callable, Iterator
from typing import Any

from kaa.base.clock import format_seconds
from kaa.http.api import Answer
from kaa.meta import errors, selectors
from kaa.meta.problems import Path, Problem, forbidden_field, invalid, required
from kaa.meta.resource import Resource
from kaa.server.admission.review import user_info
from kaa.server.app import Application, Authorize, Decision
from kaa.server.authn import Authentication
from kaa.server.authn.serviceaccounts import EXTENDED_SECONDS, WARN_ONLY_SECONDS, Binding, ServiceAccountTokens
from kaa.server.authz import Authorization, node_of
from kaa.server.authz.node import NodeAuthorizer
from kaa.server.authz.rbac import Rbac
from kaa.server.authz.union import always_allow
from kaa.server.authz.webhook import WebhookAuthorizer
from kaa.server.call import Call
from kaa.server.request import RequestInfo, User
from kaa.server.verbs import writeoptions, writes
from kaa.server.verbs.bodies import read_object

__all__ = ["Reviews"]

Json = dict[str, Any]

EXPIRATION_SECONDS_MIN, EXPIRATION_SECONDS_MAX, EXPIRATION_SECONDS_DEFAULT = 600, 1 << 32, 3600


class Reviews:
    """The handlers; `register` puts them into an application."""

    def __init__(self, tokens: ServiceAccountTokens, authentication: Authentication, authorization: Authorization,
                 *, extend_expiration: bool = True) -> None:  # fmt: skip
        self._tokens = tokens
        self._authentication = authentication
        self._authorization = authorization
        self._authorize: Authorize = authorization
        self._extend = extend_expiration

    def register(self, app: Application) -> None:
        """Answer every review this release has."""
        app.reviews["tokenreviews.authentication.k8s.io"] = self.token_review
        app.reviews["selfsubjectreviews.authentication.k8s.io"] = self.self_review
        app.reviews["subjectaccessreviews.authorization.k8s.io"] = self.access_review
        app.reviews["localsubjectaccessreviews.authorization.k8s.io"] = self.access_review
        app.reviews["selfsubjectaccessreviews.authorization.k8s.io"] = self.self_access_review
        app.reviews["selfsubjectrulesreviews.authorization.k8s.io"] = self.rules_review
        app.subresources["serviceaccounts", "token"] = self.token_request

    # --- tokens

    async def token_request(self, call: Call) -> Answer:
        """A new token for a service account, bound as asked."""
        if call.info.verb != "create":
            raise errors.method_not_allowed(call.spec.resource, call.info.verb)
        writeoptions.check(call, "CreateOptions")
        kind = call.parts.registry.by_kind("authentication.k8s.io/v1", "TokenRequest")
        assert kind is not None
        request = read_object(call, kind)
        spec, meta, name = request.setdefault("spec", {}), request["metadata"], call.info.name
        for field, ours in (("name", name), ("namespace", call.namespace)):
            if meta.get(field) and meta[field] != ours:
                wrong = invalid(Path() / "metadata" / field, meta[field],
                                f"must match the service account {field} if specified")  # fmt: skip
                raise errors.invalid(kind.resource, name, [wrong])
        account = call.objects.get(call.spec, call.namespace, name).decode()
        uid = account["metadata"]["uid"]
        if meta.get("uid") and meta["uid"] != uid:
            raise _mismatch("TokenRequest.authentication.k8s.io", name, f"the UID in the token request ({meta['uid']}) "
                            f"does not match the UID of the service account ({uid})")  # fmt: skip
        seconds = spec.get("expirationSeconds")
        seconds = EXPIRATION_SECONDS_DEFAULT if seconds is None else seconds
        if not EXPIRATION_SECONDS_MIN <= seconds <= EXPIRATION_SECONDS_MAX:
            bound = "less than 10 minutes" if seconds < EXPIRATION_SECONDS_MIN else "larger than 2^32 seconds"
            path = Path() / "spec" / "expirationSeconds"
            wrong = invalid(path, seconds, f"may not specify a duration {bound}")
            raise errors.invalid(kind.resource, "", [wrong])
        attributes = call.attributes("CREATE", request, None, options="CreateOptions")
        await call.parts.admission.mutate(attributes)
        await call.parts.admission.validate(attributes)
        binding, node = self._binding(call, spec.get("boundObjectRef"))
        now = call.clock.now()
        audiences = tuple(spec.get("audiences") or self._tokens.audiences)
        warn_after, lasts = None, seconds
        if (
            self._extend and seconds == WARN_ONLY_SECONDS and binding is not None and binding.kind == "Pod"
            and all(each in self._tokens.audiences for each in audiences)
        ):  # fmt: skip
            # What kubelets ask for: pods with clients that never read their token again go on for a year.
            warn_after, lasts = now + seconds, EXTENDED_SECONDS
        token = self._tokens.issue(account, audiences=audiences, expires_at=now + lasts, binding=binding, node=node,
                                   warn_after=warn_after)  # fmt: skip
        spec["expirationSeconds"] = seconds
        spec["audiences"] = list(audiences)
        request["metadata"] = {
            "name": name,
            "namespace": call.namespace,
            "creationTimestamp": format_seconds(now),
        }
        request["status"] = {"token": token, "expirationTimestamp": format_seconds(now + seconds)}
        return writes.answer_plain(call, request, 201)

    def _binding(self, call: Call, reference: Json | None) -> tuple[Binding | None, Binding | None]:
        """What the token is bound to, and the node of the pod that is."""
        if not reference:
            return None, None
        kind, name, version = reference.get("kind", ""), reference.get("name", ""), reference.get("apiVersion") or ""
        plural = {"Pod": "pods", "Secret": "secrets", "Node": "nodes"}.get(kind)
        if plural is None or "/" in version:
            group_version = version if "/" in version else f"/{version}"
            raise errors.bad_request(f"cannot bind token to object of type {group_version}, Kind={kind}")
        spec = call.parts.registry.get("", "v1", plural)
        assert spec is not None
        found = call.objects.get(spec, call.namespace if spec.namespaced else "", name).decode()
        if kind == "Pod" and found["spec"].get("serviceAccountName") != call.info.name:
            raise errors.bad_request(
                f'cannot bind token for serviceaccount "{call.info.name}" to pod running with different '
                "serviceaccount name."
            )
        uid = found["metadata"]["uid"]
        if reference.get("uid") and reference["uid"] != uid:
            raise _mismatch(kind, name, f"the UID in the bound object reference ({reference['uid']}) does not match "
                            "the UID in record. The object might have been deleted and then recreated")  # fmt: skip
        if kind != "Pod":
            return Binding(kind, name, uid), None
        node_name = found["spec"].get("nodeName")
        nodes = call.parts.registry.get("", "v1", "nodes")
        assert nodes is not None
        node = call.objects.find(nodes, "", node_name) if node_name else None
        return Binding(kind, name, uid), (
            Binding("Node", node_name, node.decode()["metadata"]["uid"]) if node is not None else None
        )

    async def token_review(self, call: Call) -> Answer:
        """Who a token stands for."""
        review = await _read(call)
        spec = review.get("spec") or {}
        token = spec.get("token") or ""
        if not token:
            raise errors.bad_request("token is required for TokenReview in authentication")
        audiences = tuple(spec.get("audiences") or self._tokens.audiences)
        reviewed = await self._authentication.review(token, audiences)
        if reviewed.user is None:
            review["status"] = {"user": {}, "error": reviewed.error}
        else:
            review["status"] = {
                "authenticated": True, "user": user_info(reviewed.user), "audiences": list(reviewed.audiences),
            }  # fmt: skip
        review["metadata"] = {}
        return writes.answer_plain(call, review, 201)

    async def self_review(self, call: Call) -> Answer:
        """Who the caller is."""
        if call.request.body.strip():
            await _read(call)
        review = {
            "kind": "SelfSubjectReview",
            "apiVersion": call.spec.api_version,
            "metadata": {"creationTimestamp": format_seconds(call.clock.now())},
            "status": {"userInfo": user_info(call.user)},
        }
        return writes.answer_plain(call, review, 201)

    # --- access

    async def access_review(self, call: Call) -> Answer:
        """Whether a named user may."""
        review = await _read(call)
        spec = review.get("spec") or {}
        path = Path() / "spec"
        problems = list(_attribute_problems(spec))
        if not spec.get("user") and not spec.get("groups"):
            problems.append(
                invalid(path / "user", spec.get("user", ""), "at least one of user or group must be specified")
            )
        if call.namespace:
            attributes = spec.get("resourceAttributes")
            if attributes is None:
                raise errors.invalid(call.spec.resource, "", problems or [
                    invalid(path / "resourceAttributes", None, "must be specified for a local review")])  # fmt: skip
            if attributes.get("namespace", "") != call.namespace:
                raise errors.bad_request(f"spec.resourceAttributes.namespace must match namespace: {call.namespace}")
        if problems:
            raise errors.invalid(call.spec.resource, "", problems)
        extra = {name.lower(): tuple(values) for name, values in (spec.get("extra") or {}).items()}
        user = User(spec.get("user", ""), tuple(spec.get("groups") or ()), spec.get("uid", ""), extra)
        return await self._review_access(call, review, user)

    async def self_access_review(self, call: Call) -> Answer:
        """Whether the caller may."""
        review = await _read(call)
        problems = list(_attribute_problems(review.get("spec") or {}))
        if problems:
            raise errors.invalid(call.spec.resource, "", problems)
        return await self._review_access(call, review, call.user)

    async def _review_access(self, call: Call, review: Json, user: User) -> Answer:
        info, doubts = _asked(review.get("spec") or {})
        decision = self._authorize(user, info)
        decided = decision if isinstance(decision, Decision) else await decision
        status: Json = {"allowed": decided.allowed}
        if decided.denied:
            status["denied"] = True
        if decided.reason:
            status["reason"] = decided.reason
        if decided.error:
            doubts.insert(0, decided.error)
        if doubts:
            status["evaluationError"] = doubts[0] if len(doubts) == 1 else f"[{', '.join(doubts)}]"
        review["status"] = status
        review["metadata"] = {}
        return writes.answer_plain(call, review, 201)

    async def rules_review(self, call: Call) -> Answer:
        """Everything the caller may do in a namespace."""
        review = await _read(call)
        namespace = (review.get("spec") or {}).get("namespace") or ""
        if not namespace:
            raise errors.bad_request("no namespace on request")
        resource_rules: list[Json] = []
        path_rules: list[Json] = []
        doubts: list[str] = []
        for rule in self._rules(call.user, namespace, doubts):
            if rule.get("nonResourceURLs"):
                path_rules.append({"verbs": rule.get("verbs") or [], "nonResourceURLs": rule["nonResourceURLs"]})
            else:
                kept = ("verbs", "apiGroups", "resources", "resourceNames")
                resource_rules.append({name: rule[name] for name in kept if name in rule})
        review["status"] = {
            "resourceRules": resource_rules,
            "nonResourceRules": path_rules,
            "incomplete": bool(doubts),
            **({"evaluationError": ", ".join(doubts)} if doubts else {}),
        }
        review["metadata"] = {}
        return writes.answer_plain(call, review, 201)

    def _rules(self, user: User, namespace: str, doubts: list[str]) -> Iterator[Json]:
        """What each authorizer says of a user; what one cannot say is a doubt."""
        for authorizer in self._authorization.authorizers:
            if isinstance(authorizer, Rbac):
                doubts += authorizer.missing_roles(user, namespace)
                for grant in authorizer.rules_for(user, namespace):
                    yield grant.rule
            elif authorizer is always_allow:
                yield {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
                yield {"verbs": ["*"], "nonResourceURLs": ["*"]}
            elif isinstance(authorizer, NodeAuthorizer):
                if node_of(user) is not None:
                    doubts.append("node authorizer does not support user rule resolution")
            elif isinstance(authorizer, WebhookAuthorizer):
                doubts.append("webhook authorizer does not support user rule resolution")


def _mismatch(label: str, name: str, why: str) -> errors.StatusError:
    """409 in the words of the original, which has the kind where others have the resource."""
    return errors.conflict(Resource("", "v1", label, label, True), name, why)


_BOTH = "cannot be specified in combination with resourceAttributes"
_NEITHER = "exactly one of nonResourceAttributes or resourceAttributes must be specified"


def _attribute_problems(spec: Json) -> Iterator[Problem]:
    path = Path() / "spec"
    resource = spec.get("resourceAttributes")
    if resource is not None and spec.get("nonResourceAttributes") is not None:
        yield invalid(path / "nonResourceAttributes", spec["nonResourceAttributes"], _BOTH)
    elif resource is None and spec.get("nonResourceAttributes") is None:
        yield invalid(path / "resourceAttributes", None, _NEITHER)
    if resource is not None:
        for part, operators in (("fieldSelector", FIELD_OPERATORS), ("labelSelector", LABEL_OPERATORS)):
            selector = resource.get(part)
            if selector is not None:
                yield from _selector_problems(selector, path / "resourceAttributes" / part, operators)


def _selector_problems(selector: Json, path: Path, operators: tuple[str, ...]) -> Iterator[Problem]:
    raw, requirements = selector.get("rawSelector"), selector.get("requirements")
    if raw and requirements:
        yield invalid(path / "rawSelector", raw, "may not specified at the same time as requirements")
    if not raw and not requirements:
        yield required(path / "requirements", f"when {path} is specified, requirements or rawSelector is required")
    for number, each in enumerate(requirements or ()):
        at = (path / "requirements")[number]
        operator, values = each.get("operator", ""), each.get("values") or []
        if not each.get("key"):
            yield required(at / "key", "must be specified")
        if operator in ("In", "NotIn") and not values:
            yield required(at / "values", "must be specified when `operator` is 'In' or 'NotIn'")
        elif operator in ("Exists", "DoesNotExist") and values:
            yield forbidden_field(at / "values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
        elif operator not in operators:
            # Another operator is no error: the authorizer may know it. Ours do not, and say so.
            continue


FIELD_OPERATORS = LABEL_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")


def _asked(spec: Json) -> tuple[RequestInfo, list[str]]:
    """What a review asks, and what of it cannot be understood: that narrows nothing down."""
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is None:
        assert path is not None
        return RequestInfo(path.get("verb", ""), path.get("path", "")), []
    doubts: list[str] = []
    fields = _field_text(resource.get("fieldSelector") or {}, doubts)
    labels = _label_text(resource.get("labelSelector") or {}, doubts)
    info = RequestInfo(
        resource.get("verb", ""), "", True, resource.get("group", ""), resource.get("version", ""),
        resource.get("resource", ""), resource.get("subresource", ""), resource.get("namespace", ""),
        resource.get("name", ""), "", fields, labels,
    )  # fmt: skip
    return info, doubts


def _field_text(selector: Json, doubts: list[str]) -> str:
    if selector.get("rawSelector"):
        return _readable(str(selector["rawSelector"]), selectors.parse_fields, "fieldSelector", doubts)
    found: list[str] = []
    for number, each in enumerate(selector.get("requirements") or ()):
        sign = {"In": "=", "NotIn": "!="}.get(each.get("operator", ""))
        values = each.get("values") or []
        if sign is None or len(values) != 1:
            why = "fieldSelectors do not yet support multiple values" if sign else (
                f'"{each.get("operator", "")}" is not a valid field selector operator')  # fmt: skip
            doubts.append(f"spec.resourceAttributes.fieldSelector.requirements[{number}]: {why}")
            continue
        found.append(str(selectors.FieldRequirement(each["key"], sign, values[0])))
    return ",".join(found)


def _label_text(selector: Json, doubts: list[str]) -> str:
    if selector.get("rawSelector"):
        return _readable(str(selector["rawSelector"]), selectors.parse_labels, "labelSelector", doubts)
    found: list[str] = []
    for number, each in enumerate(selector.get("requirements") or ()):
        try:
            read = selectors.from_object({"matchExpressions": [each]})
        except selectors.SelectorError as error:
            doubts.append(f"spec.resourceAttributes.labelSelector.requirements[{number}]: {error}")
            continue
        found.append(str(read))
    return ",".join(found)


def _readable(text: str, read: Callable[[str], object], part: str, doubts: list[str]) -> str:
    try:
        read(text)
    except selectors.SelectorError as error:
        doubts.append(f"spec.resourceAttributes.{part} ignored; parse error: {error}")
        return ""
    return text


async def _read(call: Call) -> Json:
    """The question, once it has been admitted: webhooks may be about questions too."""
    writeoptions.check(call, "CreateOptions")
    review = read_object(call, call.spec)
    attributes = call.attributes("CREATE", review, None, options="CreateOptions")
    await call.parts.admission.mutate(attributes)
    await call.parts.admission.validate(attributes)
    return review
