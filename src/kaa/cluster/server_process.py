"""`kaa server`: the API server over its store, as a process."""

from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from kaa.base.log import Logger
from kaa.cluster.process import Ready, run_process
from kaa.cluster.settings import ServerOptions

if TYPE_CHECKING:
    from kaa.server.audit.settings import AuditSettings
    from kaa.server.server import ApiServer
    from kaa.server.subresources.nodes import Dial

__all__ = ["run", "serve"]

_log = Logger("apiserver")


def run(options: ServerOptions) -> int:
    """Serve until told to end; the exit status."""

    async def main(ready: Ready) -> None:
        await serve(options, ready)

    return run_process("server", main)


async def serve(options: ServerOptions, ready: Ready) -> None:
    """Serve until cancelled."""
    # Imported here: the command line reads the options of a server without loading one.
    import asyncio
    import ipaddress

    from kaa.base.tasks import Scope
    from kaa.cluster import certificates
    from kaa.cluster.pki import load_or_make_key
    from kaa.http.tls import TlsServer
    from kaa.server.authn import RequestHeaderSettings
    from kaa.server.server import ApiServer, ServerSettings
    from kaa.store.factory import open_store

    options = _complete(options)
    assert options.cert_dir is not None
    assert options.kubeconfig_out is not None
    opening = asyncio.ensure_future(open_store(options.store))  # noqa: TID251 - awaited below
    api_ip = str(ipaddress.ip_network(options.service_cluster_ip_range)[1])
    names = certificates.server_names([options.advertise_address], api_ip, options.tls_san)
    files = certificates.ensure_server(options.cert_dir, names)
    store = await opening
    try:
        client_ca = options.client_ca_file or files.ca
        trusted = _trusted(options, client_ca)
        tls = TlsServer(files.certificate, files.key, trusted)
        settings = ServerSettings(
            bind_address=options.bind_address,
            secure_port=options.secure_port,
            advertise_address=options.advertise_address,
            service_cluster_ip_range=options.service_cluster_ip_range,
            authorization_mode=options.authorization_mode,
            authorization_config=options.authorization_config,
            authorization_webhook_config_file=options.authorization_webhook_config_file,
            authentication_config=options.authentication_config,
            authentication_token_webhook_config_file=options.authentication_token_webhook_config_file,
            enable_bootstrap_token_auth=options.enable_bootstrap_token_auth,
            client_ca_file=client_ca,
            requestheader_client_ca_file=options.requestheader_client_ca_file,
            requestheader=RequestHeaderSettings(
                options.requestheader_username_headers,
                options.requestheader_uid_headers,
                options.requestheader_group_headers,
                options.requestheader_extra_headers_prefix,
                options.requestheader_allowed_names,
            ),
            root_ca_file=files.ca,
            token_auth_file=options.token_auth_file,
            enable_admission_plugins=options.enable_admission_plugins,
            disable_admission_plugins=options.disable_admission_plugins,
            admission_control_config_file=options.admission_control_config_file,
            anonymous_auth=options.anonymous_auth,
            service_account_issuer=options.service_account_issuer,
            api_audiences=options.api_audiences,
            audit=_audit(options),
            encryption_provider_config=options.encryption_provider_config,
            encryption_provider_config_automatic_reload=options.encryption_provider_config_automatic_reload,
        )
        dial = node_dial(files.ca.read_bytes(), *files.kubelet_client)
        server = ApiServer(store, settings, token_key=load_or_make_key(files.token_key), tls=tls, dial=dial)
        await server.start()
        try:
            near = options.bind_address if options.bind_address not in ("0.0.0.0", "::") else "127.0.0.1"
            admin = partial(
                certificates.ensure_admin, options.cert_dir, f"https://{near}:{server.port}", options.kubeconfig_out
            )
            admin()
            ready()
            _log.info("serving", address=f"https://{options.advertise_address}:{server.port}", store=options.store,
                      kubeconfig=str(options.kubeconfig_out))  # fmt: skip
            if options.cluster_dns_endpoint:
                await _dns_service(server, options, files.admin[0])
            async with Scope("server-process") as scope:
                scope.spawn(_renew(options.cert_dir, admin), name="certificates", eternal=True)
                await server.run()
        finally:
            await server.stop()
    finally:
        await store.close()


def _audit(options: ServerOptions) -> "AuditSettings":
    from kaa.server.audit.settings import AuditSettings

    named = (each.name for each in fields(AuditSettings))
    return AuditSettings(**{name: getattr(options, f"audit_{name}") for name in named})


def _complete(options: ServerOptions) -> ServerOptions:
    """With the defaults that depend on others."""
    data = Path(options.data_dir).expanduser().absolute()
    if not options.store:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
    address = options.advertise_address
    if not address and options.bind_address not in ("0.0.0.0", "::"):
        address = options.bind_address
    if not address:
        from kaa.network.addresses import node_addresses

        address = node_addresses()[0]
    return replace(
        options,
        data_dir=data,
        cert_dir=(options.cert_dir or data / "pki").expanduser().absolute(),
        kubeconfig_out=(options.kubeconfig_out or data / "kubeconfig").expanduser().absolute(),
        store=options.store or f"sqlite:{data / 'store.db'}",
        advertise_address=address,
    )


async def _renew(directory: Path, admin: Callable[[], object]) -> None:
    """Keep every certificate of the directory fresh; the administrator's stands in a kubeconfig, too."""
    from kaa.cluster import certificates
    from kaa.cluster.renewal import keep_renewed

    def renewed(names: list[str]) -> None:
        if "admin" in names:
            admin()

    await keep_renewed(partial(certificates.renew, directory), renewed)


def _trusted(options: ServerOptions, client_ca: Path) -> Path:
    """The authorities whose certificates the listener takes: that of users, and that of front proxies."""
    if options.requestheader_client_ca_file is None:
        return client_ca
    assert options.cert_dir is not None
    both = options.cert_dir / "client-authorities.crt"
    text = client_ca.read_text().rstrip() + "\n" + options.requestheader_client_ca_file.read_text()
    if not both.exists() or both.read_text() != text:
        both.write_text(text)
    return both


def node_dial(ca: bytes, certificate: Path, key: Path) -> "Dial":
    """How the API server reaches nodes: as itself, over TLS that the cluster's authority vouches for."""
    from kaa.http.call import Caller
    from kaa.http.tls import TlsClient

    def dial(host: str, port: int, _tls: bool) -> Caller:
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        source = lambda: (certificate.read_bytes(), key.read_bytes())  # noqa: E731 - they are renewed
        return Caller(f"https://{place}", tls=TlsClient(ca_pem=ca, certificate_source=source))

    return dial


async def _dns_service(server: "ApiServer", options: ServerOptions, admin: Path) -> None:
    """The service kube-dns, and the slice that leads to the node's agent. Idempotent."""
    import asyncio
    import ipaddress
    import ssl

    from kaa.client.client import Client
    from kaa.http.api import Peer
    from kaa.http.inprocess import InProcess
    from kaa.kinds.views import Service
    from kaa.meta.errors import StatusError
    from kaa.network.dns.edge import kube_dns_service, publish

    node, _, place = options.cluster_dns_endpoint.partition("=")
    address, _, port = place.rpartition(":")
    if not node or not address or not port.isdigit():
        raise ValueError(f"--cluster-dns-endpoint {options.cluster_dns_endpoint!r}: write it as NODE=IP:PORT")
    dns_ip = str(ipaddress.ip_network(options.service_cluster_ip_range)[10])
    peer = Peer("in-process", ssl.PEM_cert_to_DER_cert(await asyncio.to_thread(admin.read_text)))
    client = Client(InProcess(server.app, peer), user_agent="kaa-server")
    try:
        try:
            await client.create(Service.resource, kube_dns_service(dns_ip))
        except StatusError as error:
            if error.reason != "AlreadyExists":
                raise
        await publish(client, node, address.strip("[]"), int(port))
    finally:
        await client.close()
