"""Questions put as objects: who does this token stand for, may this user do that, give me a token.

Nothing is stored; the answer is the object with its status filled in.
"""

from typing import Any

from kaa.base.clock import format_seconds
from kaa.http.api import Answer
from kaa.meta import errors
from kaa.meta.problems import Path, invalid
from kaa.meta.resource import Resource
from kaa.server.admission.api import Attributes
from kaa.server.app import Application, Authorize, Decision
from kaa.server.authn.serviceaccounts import Binding, ServiceAccountTokens
from kaa.server.authz.rbac import Grant, Rbac
from kaa.server.call import Call
from kaa.server.request import RequestInfo, User
from kaa.server.verbs import writeoptions, writes
from kaa.server.verbs.bodies import read_object

__all__ = ["Reviews"]

Json = dict[str, Any]

EXPIRATION_SECONDS_MIN, EXPIRATION_SECONDS_MAX, EXPIRATION_SECONDS_DEFAULT = 600, 1 << 32, 3600


class Reviews:
    """The handlers; `register` puts them into an application."""

    def __init__(self, tokens: ServiceAccountTokens, authorize: Authorize, rbac: Rbac | None) -> None:
        self._tokens = tokens
        self._authorize = authorize
        self._rbac = rbac

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
        attributes = Attributes("CREATE", call.spec, call.namespace, name, "token", request, None, call.user,
                                call.dry_run, warnings=call.warnings)  # fmt: skip
        await call.parts.admission.mutate(attributes)
        await call.parts.admission.validate(attributes)
        binding, node = self._binding(call, spec.get("boundObjectRef"))
        now = call.clock.now()
        audiences = tuple(spec.get("audiences") or self._tokens.audiences)
        token = self._tokens.issue(account, audiences=audiences, expires_at=now + seconds, binding=binding, node=node)
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
        review = read_object(call, call.spec)
        spec = review.get("spec") or {}
        token = spec.get("token") or ""
        if not token:
            raise errors.bad_request("token is required for TokenReview in authentication: set spec.token")
        audiences = tuple(spec.get("audiences") or self._tokens.audiences)
        user, shared = self._tokens.review(token, audiences)
        if user is None:
            review["status"] = {"user": {}, "error": "[invalid bearer token]"}
        else:
            review["status"] = {"authenticated": True, "user": _user(user), "audiences": list(shared)}
        review["metadata"] = {"creationTimestamp": None}
        return writes.answer_plain(call, review, 201)

    async def self_review(self, call: Call) -> Answer:
        """Who the caller is."""
        review = {
            "kind": "SelfSubjectReview",
            "apiVersion": call.spec.api_version,
            "metadata": {"creationTimestamp": format_seconds(call.clock.now())},
            "status": {"userInfo": _user(call.user)},
        }
        return writes.answer_plain(call, review, 201)

    # --- access

    async def access_review(self, call: Call) -> Answer:
        """Whether a named user may."""
        review = read_object(call, call.spec)
        spec = review.get("spec") or {}
        if not spec.get("user") and not spec.get("groups"):
            raise errors.StatusError(
                422, "Invalid", f'{call.spec.kind}.authorization.k8s.io "" is invalid: spec.user: Invalid value: "": '
                "at least one of user or group must be specified",
            )  # fmt: skip
        extra = {name: tuple(values) for name, values in (spec.get("extra") or {}).items()}
        user = User(spec.get("user", ""), tuple(spec.get("groups") or ()), spec.get("uid", ""), extra)
        if call.namespace:
            wanted = (spec.get("resourceAttributes") or {}).get("namespace")
            if wanted != call.namespace:
                raise errors.bad_request("spec.resourceAttributes.namespace must match the namespace of the request")
        return await self._review_access(call, review, user)

    async def self_access_review(self, call: Call) -> Answer:
        """Whether the caller may."""
        return await self._review_access(call, read_object(call, call.spec), call.user)

    async def _review_access(self, call: Call, review: Json, user: User) -> Answer:
        info = _asked(call, review.get("spec") or {})
        decision = self._authorize(user, info)
        decided = decision if isinstance(decision, Decision) else await decision
        status: Json = {"allowed": decided.allowed}
        if decided.reason:
            status["reason"] = decided.reason
        review["status"] = status
        review["metadata"] = {"creationTimestamp": None}
        return writes.answer_plain(call, review, 201)

    async def rules_review(self, call: Call) -> Answer:
        """Everything the caller may do in a namespace."""
        review = read_object(call, call.spec)
        namespace = (review.get("spec") or {}).get("namespace") or ""
        if not namespace:
            raise errors.bad_request("no namespace on request: set spec.namespace")
        resource_rules: list[Json] = []
        path_rules: list[Json] = []
        for grant in self._grants(call.user, namespace):
            rule = grant.rule
            if rule.get("nonResourceURLs"):
                path_rules.append({"verbs": rule.get("verbs") or [], "nonResourceURLs": rule["nonResourceURLs"]})
            else:
                kept = ("verbs", "apiGroups", "resources", "resourceNames")
                resource_rules.append({name: rule[name] for name in kept if name in rule})
        review["status"] = {
            "resourceRules": resource_rules,
            "nonResourceRules": path_rules,
            "incomplete": self._rbac is None,
        }
        review["metadata"] = {"creationTimestamp": None}
        return writes.answer_plain(call, review, 201)

    def _grants(self, user: User, namespace: str) -> list[Grant]:
        if self._rbac is None or "system:masters" in user.groups:
            return [Grant({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}),
                    Grant({"verbs": ["*"], "nonResourceURLs": ["*"]})]  # fmt: skip
        return list(self._rbac.rules_for(user, namespace))


def _mismatch(label: str, name: str, why: str) -> errors.StatusError:
    """409 in the words of the original, which has the kind where others have the resource."""
    return errors.conflict(Resource("", "v1", label, label, True), name, why)


def _asked(call: Call, spec: Json) -> RequestInfo:
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if (resource is None) == (path is None):
        raise errors.bad_request(
            "exactly one of spec.resourceAttributes and spec.nonResourceAttributes must be specified"
        )
    if path is not None:
        return RequestInfo(path.get("verb", ""), path.get("path", ""))
    assert resource is not None
    return RequestInfo(
        resource.get("verb", ""), "", True, resource.get("group", ""), resource.get("version", ""),
        resource.get("resource", ""), resource.get("subresource", ""), resource.get("namespace", ""),
        resource.get("name", ""),
    )  # fmt: skip


def _user(user: User) -> Json:
    shown: Json = {"username": user.name}
    if user.uid:
        shown["uid"] = user.uid
    if user.groups:
        shown["groups"] = list(user.groups)
    if user.extra:
        shown["extra"] = {name: list(values) for name, values in user.extra.items()}
    return shown
