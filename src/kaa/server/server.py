"""The API server put together: settings in, a listening server out."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec

from kaa.base.clock import REAL, Clock
from kaa.base.log import Logger
from kaa.base.tasks import Scope
from kaa.http.api import Request, Response, Transport
from kaa.http.serve import Server, serve
from kaa.http.tls import TlsServer
from kaa.kinds.registry import Registry, builtin
from kaa.server import forms, subresources
from kaa.server.admission.api import Chain
from kaa.server.admission.configuration import read_configuration
from kaa.server.admission.defaults import CONFIGURABLE, Given, default_chain
from kaa.server.app import Application, Authenticate
from kaa.server.audit.settings import AuditSettings
from kaa.server.authn import (
    Authentication,
    BootstrapTokens,
    CertificateUsers,
    RequestHeaders,
    RequestHeaderSettings,
    ServiceAccountTokens,
    StaticTokens,
    TokenWebhook,
    impersonate,
    read_authorities,
)
from kaa.server.authn.legacytokens import LegacyTokens
from kaa.server.authz import Aggregation, Authorization, EscalationCheck
from kaa.server.bootstrap import bootstrap
from kaa.server.call import Parts
from kaa.server.components import Components
from kaa.server.configfile import ConfigError
from kaa.server.customresources import Conversions, Registrar
from kaa.server.discovery import Discovery
from kaa.server.health import Health
from kaa.server.objects import Objects
from kaa.server.openapi import OpenApi
from kaa.server.remote import read_kubeconfig
from kaa.server.request import User
from kaa.server.reservations import ServiceReservations
from kaa.server.reviews import Reviews
from kaa.server.subresources.nodes import Dial, NodeStreams
from kaa.server.webhooks import Webhooks
from kaa.store.api import Store

if TYPE_CHECKING:
    from kaa.server.audit.auditor import Auditor
    from kaa.server.encryption import EncryptionConfig, FollowedConfig

__all__ = ["ApiServer", "ServerSettings"]

_log = Logger("apiserver")

BOOKMARK_SECONDS = 20.0


@dataclass(frozen=True)
class ServerSettings:
    """What can be chosen about an API server."""

    #: Where it listens. Port 0 takes any free one.
    bind_address: str = "127.0.0.1"
    secure_port: int = 6443
    #: The address that the `kubernetes` service points to, and that certificates must hold.
    advertise_address: str = "127.0.0.1"
    #: Where cluster IPs come from. The first address is the API's own, the tenth the cluster DNS's.
    service_cluster_ip_range: str = "10.96.0.0/16"
    #: Who decides: RBAC, Node, Webhook, AlwaysAllow, AlwaysDeny; the first that decides, decides.
    authorization_mode: tuple[str, ...] = ("Node", "RBAC")
    #: An AuthorizationConfiguration, which takes the place of the modes: several authorizers in order, webhooks with
    #: conditions among them. It is read again when it changes.
    authorization_config: Path | None = None
    #: A kubeconfig that says where the authorizer of the mode Webhook is.
    authorization_webhook_config_file: Path | None = None
    #: An AuthenticationConfiguration: issuers whose tokens count, and who may be anonymous. Read again when it changes.
    authentication_config: Path | None = None
    #: A kubeconfig that says where tokens that nobody here knows are reviewed, and how long an answer counts.
    authentication_token_webhook_config_file: Path | None = None
    authentication_token_webhook_cache_ttl_seconds: float = 120.0
    #: Whether bootstrap tokens (Secrets in kube-system) are credentials.
    enable_bootstrap_token_auth: bool = False
    #: The authority of client certificates; needed here only where front proxies have one of their own.
    client_ca_file: Path | None = None
    #: The authority of front proxies, whose word counts for who asks; and what they send.
    requestheader_client_ca_file: Path | None = None
    requestheader: RequestHeaderSettings = field(default_factory=RequestHeaderSettings)
    #: The authority that is put into the Secrets of legacy tokens, for clients to check this server by (PEM).
    root_ca_file: Path | None = None
    #: Tokens of pods last a year where kubelets ask for an hour, for clients that never read theirs again.
    service_account_extend_token_expiration: bool = True
    #: Static tokens, `token,user,uid,"groups"` a line.
    token_auth_file: Path | None = None
    #: Admission plugins beyond, or out of, the default list.
    enable_admission_plugins: tuple[str, ...] = ()
    disable_admission_plugins: tuple[str, ...] = ()
    #: An AdmissionConfiguration: what plugins (PodSecurity, EventRateLimit, PodNodeSelector, PodTolerationRestriction)
    #: are to know.
    admission_control_config_file: Path | None = None
    #: Whether a request without credentials is `system:anonymous` (health and version only, by the default roles).
    anonymous_auth: bool = True
    #: What service account tokens say they were issued by, and for.
    service_account_issuer: str = "https://kubernetes.default.svc.cluster.local"
    api_audiences: tuple[str, ...] = field(default=())
    #: An EncryptionConfiguration: which resources are encrypted in the store, and how. None: none is.
    encryption_provider_config: Path | None = None
    #: Follow changes of that file; otherwise a new key needs a restart.
    encryption_provider_config_automatic_reload: bool = False
    #: What is told of requests, and where: see AuditSettings.
    audit: AuditSettings = field(default_factory=AuditSettings)


class ApiServer:
    """Serves the API over a store it is given and does not own.

    `start` loads the objects, makes what every cluster has, and, unless `listen` is False, listens. `app` is the
    handler, for callers in the same process.
    """

    def __init__(
        self,
        store: Store,
        settings: ServerSettings,
        *,
        token_key: ec.EllipticCurvePrivateKey | None = None,
        tls: TlsServer | None = None,
        dial: Dial | None = None,
        clock: Clock = REAL,
        registry: Registry | None = None,
    ) -> None:
        self.store = store
        self.settings = settings
        self.clock = clock
        self.tls = tls
        self._dial = dial or _no_dial
        self._token_key = token_key
        self._registry = registry
        self._scope = Scope("apiserver")
        self._listener: Server | None = None
        self._ready = False
        #: What follows requests, where there is a policy.
        self.auditor: Auditor | None = None
        #: The encryption configuration while its file is followed.
        self.encryption_config: FollowedConfig | None = None
        self.health = Health(clock)
        self.webhooks: Webhooks | None = None
        self._registrar: Registrar | None = None
        self.authentication: Authentication | None = None
        self.authorization: Authorization | None = None
        self.aggregation: Aggregation | None = None
        self._legacy_tokens: LegacyTokens | None = None

    async def start(self, *, listen: bool = True) -> None:
        """Be ready to answer when this returns."""
        settings, clock = self.settings, self.clock
        registry = self._registry or builtin()
        self.objects = objects = Objects(self.store, registry)
        if settings.encryption_provider_config is not None:
            await self._encrypt(settings.encryption_provider_config, registry)
        self._registrar = registrar = Registrar(objects)
        registrar.load(await objects.below(registrar.prefix))
        await objects.start()
        self.authorization = authorize = Authorization(
            objects, clock, settings.authorization_mode, config=settings.authorization_config,
            webhook_config=settings.authorization_webhook_config_file,
        )  # fmt: skip
        configurations = read_configuration(settings.admission_control_config_file, CONFIGURABLE)
        self.webhooks = webhooks = Webhooks(objects, clock)
        given = Given(objects, authorize, clock, configurations, webhooks)
        chain = default_chain(given, settings.enable_admission_plugins, settings.disable_admission_plugins)
        if authorize.rbac is not None:
            chain = Chain([*chain.plugins, EscalationCheck(authorize.rbac, authorize)])
        objects.conversions = Conversions(webhooks)
        self.parts = parts = Parts(objects, chain, clock, webhooks, authorize)
        registrar.start(parts, clock)
        services = registry.get("", "v1", "services")
        assert services is not None
        parts.reservations[services.storage_prefix] = ServiceReservations(
            objects.of(services), settings.service_cluster_ip_range
        )
        parts.computed["componentstatuses"] = Components(objects, registry, clock).entries
        audiences = settings.api_audiences or (settings.service_account_issuer,)
        key = self._token_key or ec.generate_private_key(ec.SECP256R1())
        self.tokens = ServiceAccountTokens(key, settings.service_account_issuer, audiences, objects, clock)
        self.authentication = authenticate = self._authentication()
        self.app = self._application(parts, authenticate, authorize, impersonate=impersonate)
        self._register()
        if listen:
            self._listener = await serve(
                self.app, host=settings.bind_address, port=settings.secure_port, tls=self.tls, clock=clock
            )
        await bootstrap(parts, settings.service_cluster_ip_range, settings.advertise_address, self.port)
        self.aggregation = aggregation = Aggregation(parts)
        await aggregation.settle()
        aggregation.start()
        ca = settings.root_ca_file.read_bytes() if settings.root_ca_file is not None else b""
        self._legacy_tokens = LegacyTokens(parts, self.tokens, ca)
        self._legacy_tokens.start()
        authenticate.start()
        authorize.start()
        self._scope.spawn(self._bookmarks(), name="bookmarks", eternal=True)
        self.health.lag.start()
        self._ready = True

    def _authentication(self) -> Authentication:
        """Who may say who they are, by the settings."""
        settings, clock = self.settings, self.clock
        users, proxies = CertificateUsers(), None
        if settings.requestheader_client_ca_file is not None:
            if settings.client_ca_file is None:
                raise ConfigError(
                    "requestheader_client_ca_file needs client_ca_file: or a proxy could be taken for a user"
                )
            users = CertificateUsers(read_authorities(settings.client_ca_file.read_bytes()))
            authorities = read_authorities(settings.requestheader_client_ca_file.read_bytes())
            proxies = RequestHeaders(settings.requestheader, authorities)
        webhook = None
        if settings.authentication_token_webhook_config_file is not None:
            place = read_kubeconfig(settings.authentication_token_webhook_config_file)
            ttl = settings.authentication_token_webhook_cache_ttl_seconds
            webhook = TokenWebhook(place, clock, self.tokens.audiences, ttl)
        file = settings.token_auth_file
        return Authentication(
            self.tokens, clock,
            others=[StaticTokens.from_file(file)] if file is not None else [],
            behind=[BootstrapTokens(self.objects, clock)] if settings.enable_bootstrap_token_auth else [],
            anonymous=settings.anonymous_auth, certificates=users, proxies=proxies, webhook=webhook,
            config=settings.authentication_config,
        )  # fmt: skip

    def _application(self, parts: Parts, authenticate: Authenticate, *more: Any, **options: Any) -> Application:
        """The handler; one that is audited where there is a policy."""
        if self.settings.audit.policy_file is None:
            return Application(parts, authenticate, *more, **options)
        from kaa.server.audit.application import AuditedApplication
        from kaa.server.audit.auditor import Auditor

        self.auditor = auditor = Auditor.of(self.settings.audit, self.clock)
        auditor.start()
        self.health.gauges.update(auditor.gauges())
        return AuditedApplication(auditor, parts, authenticate, *more, **options)

    async def _encrypt(self, path: Path, registry: Registry) -> None:
        """Put encryption between the objects and the store."""
        from kaa.server.encryption import EncryptedStore, FollowedConfig, load

        config = await asyncio.to_thread(load, path)
        if wrong := config.check():
            raise ValueError(f"{path}: values can't be encrypted: {wrong}")
        objects, health = self.objects, self.health
        objects.store = encrypted = EncryptedStore(self.store, config, registry)
        objects.stale, objects.value_bytes_max = encrypted.stale, encrypted.value_bytes_max
        health.add("encryption-at-rest", lambda: encrypted.config.check())
        if not self.settings.encryption_provider_config_automatic_reload:
            return

        async def use(config: "EncryptionConfig") -> None:
            encrypted.configure(config)
            await objects.read_again()

        self.encryption_config = followed = FollowedConfig(path, config, self.clock, use)
        self._scope.spawn(followed.run(), name="encryption-config", eternal=True)
        # The original counts these with a label `status`; its names are kept.
        name = "apiserver_encryption_config_controller_automatic_reloads_total"
        health.gauges[f'{name}{{status="success"}}'] = lambda: float(followed.successes)
        health.gauges[f'{name}{{status="failure"}}'] = lambda: float(followed.failures)

    @property
    def port(self) -> int:
        """Where it listens; the settings' port while it does not."""
        return self._listener.port if self._listener is not None else self.settings.secure_port

    async def stop(self, grace_seconds: float = 5.0) -> None:
        """Take no more requests, end streams cleanly, and return when all is answered. The store stays open."""
        self._ready = False
        self.health.lag.stop()
        await self._scope.close()
        if self._listener is not None:
            await self._listener.close(grace_seconds)
            self._listener = None
        for each in (self.aggregation, self._legacy_tokens, self.authentication, self.authorization):
            if each is not None:
                await each.close()
        if self._registrar is not None:
            await self._registrar.stop()
        if self.webhooks is not None:
            await self.webhooks.close()
        if self.auditor is not None:
            await self.auditor.close()
            self.auditor = None

    async def run(self) -> None:
        """Run until cancelled, or until a part of the server fails."""
        try:
            await self._scope.wait()
        finally:
            await self.stop()

    def _register(self) -> None:
        app, parts = self.app, self.parts
        health = self.health
        # Not of liveness: a restart frees no disk.
        health.add("store", lambda: self.objects.trouble, ready_only=True)
        health.add("poststarthook/bootstrap", lambda: "" if self._ready else "not finished", ready_only=True)
        health.counts = app.counts
        health.gauges["apiserver_storage_revision"] = lambda: float(parts.objects.cache.revision)
        for name in ("healthz", "livez", "readyz"):
            app.routes[f"/{name}"] = app.routes[f"/{name}/"] = health.answer
        app.routes["/version"] = health.version
        app.routes["/metrics"] = health.metrics
        discovery = Discovery(parts.registry, lambda: f"{self.settings.advertise_address}:{self.port}")
        app.routes["/api"] = app.routes["/api/"] = discovery.api
        app.routes["/apis"] = app.routes["/apis/"] = discovery.apis
        openapi = OpenApi(parts.registry)
        app.routes["/openapi/v2"] = openapi.v2
        app.routes["/openapi/"] = openapi.v3
        app.routes["/.well-known/openid-configuration"] = self._openid_configuration
        app.routes["/openid/v1/jwks"] = self._jwks
        subresources.register(app, NodeStreams(self._dial))
        assert self.authentication is not None
        assert self.authorization is not None
        extend = self.settings.service_account_extend_token_expiration
        Reviews(self.tokens, self.authentication, self.authorization, extend_expiration=extend).register(app)
        health.gauges["serviceaccount_stale_tokens_total"] = lambda: float(self.tokens.stale_uses)

    def _openid_configuration(self, request: Request, user: User) -> Response:
        uri = f"https://{self.settings.advertise_address}:{self.port}/openid/v1/jwks"
        return self._published(self.tokens.openid_configuration(uri), "application/json")

    def _jwks(self, request: Request, user: User) -> Response:
        return self._published(self.tokens.jwks(), "application/jwk-set+json")

    def _published(self, document: dict[str, Any], media: str) -> Response:
        """What others may keep for an hour, as the original says."""
        answer = forms.render(document)
        return Response(200, answer.body, media, (("Cache-Control", "public, max-age=3600"),))

    async def _bookmarks(self) -> None:
        while True:
            await self.clock.sleep(BOOKMARK_SECONDS)
            self.objects.cache.bookmark()


def _no_dial(host: str, port: int, tls: bool) -> Transport:
    from kaa.meta import errors

    raise errors.service_unavailable("this server was started without a way to reach nodes")
