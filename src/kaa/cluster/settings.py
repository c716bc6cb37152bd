# ruff: noqa: RUF009 - `setting` makes a field, as `dataclasses.field` does
"""What can be set about a cluster and each of its processes: the command line and the reference are derived from it.

Each field has a paragraph. Names are those of the original where it has them.
"""

from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

__all__ = [
    "AgentOptions",
    "ControllersOptions",
    "DownOptions",
    "ServerOptions",
    "SimulatedOptions",
    "UpOptions",
    "default_of",
    "setting",
]


def setting(default: Any, help: str, *, metavar: str = "", choices: tuple[str, ...] = ()) -> Any:
    """A field with its paragraph."""
    return field(default=default, metadata={"help": " ".join(help.split()), "metavar": metavar, "choices": choices})


def default_of(cls: type, name: str) -> Any:
    """A field's default."""
    for each in fields(cls):
        if each.name == name:
            return None if each.default is MISSING else each.default
    raise KeyError(name)


@dataclass(frozen=True)
class UpOptions:
    """`kaa up`: a cluster on this machine."""

    simulated: int = setting(
        0,
        """Make a cluster without containers, of this many simulated nodes: pods are scheduled and reported as running,
        and nothing is run. Needs no root and no packages. Without it, a cluster has one node with real containers.""",
        metavar="NODES",
    )
    wait: float = setting(
        60.0,
        """How long to wait until the API answers and the node is Ready. 0 returns as soon as everything is
        started.""",
        metavar="SECONDS",
    )
    node_name: str = setting(
        "", "The name of the machine's node. The machine's host name is used when this is empty.", metavar="NAME"
    )
    secure_port: int = setting(
        0, "Where the API listens. 0 takes 6443, or the next port that is free; it is remembered.", metavar="PORT"
    )
    service_cluster_ip_range: str = setting(
        "",
        """Where the addresses of Services come from. Empty takes 10.96.0.0/16, or the next range that neither the
        machine nor another cluster uses. It can't be changed later.""",
        metavar="CIDR",
    )
    cluster_cidr: str = setting(
        "",
        """Where the addresses of pods come from. Empty takes 10.244.0.0/16, or the next range that neither the machine
        nor another cluster uses. It can't be changed later.""",
        metavar="CIDR",
    )
    proxy_mode: str = setting(
        "auto",
        "What carries the rules of Services: nftables, iptables, or auto for the first of them that works.",
        choices=("auto", "nftables", "iptables"),
    )
    encryption_provider_config: Path | None = setting(
        None,
        """An EncryptionConfiguration: what is encrypted in the store, and with which keys; changes of the file are
        followed. It is remembered: without its keys the cluster can't read what they have written.""",
        metavar="FILE",
    )
    audit_policy_file: Path | None = setting(
        None, "What is told of which requests in the audit log (audit.k8s.io/v1, Policy). It is remembered.",
        metavar="FILE",
    )  # fmt: skip
    audit_log_path: Path | None = setting(
        None, "Where the audit log is written. Default: logs/audit.log in the cluster's directory. It is remembered.",
        metavar="FILE",
    )  # fmt: skip


@dataclass(frozen=True)
class DownOptions:
    """`kaa down`: stop everything."""

    delete: bool = setting(
        False,
        """Remove the data, too, and every trace of the cluster: mounts, namespaces, rules, links, cgroups, and the
        cluster's directory.""",
    )
    grace: float = setting(
        10.0, "How long containers have to end after they were asked to; then they are killed.", metavar="SECONDS"
    )


@dataclass(frozen=True)
class ServerOptions:
    """`kaa server`: the API and its store."""

    data_dir: Path = setting(
        Path("~/.kaa/server"),
        """Where the server keeps what it has: the store, and, unless they are given, certificates and the
        administrator's kubeconfig, which are made at first start.""",
        metavar="DIR",
    )
    cert_dir: Path | None = setting(
        None, "Where certificates and keys are, and are made when they are missing. Default: DATA_DIR/pki.",
        metavar="DIR",
    )  # fmt: skip
    kubeconfig_out: Path | None = setting(
        None, "Where the administrator's kubeconfig is written. Default: DATA_DIR/kubeconfig.", metavar="FILE"
    )
    store: str = setting(
        "",
        """What holds the objects: `sqlite:/absolute/path` (an acknowledged write has been synced), or `memory:`, which
        is gone with the process. Default: sqlite in DATA_DIR.""",
        metavar="URL",
    )
    bind_address: str = setting("0.0.0.0", "The address to listen on.", metavar="IP")
    secure_port: int = setting(6443, "The port to listen on, with TLS. 0 takes any free one.", metavar="PORT")
    advertise_address: str = setting(
        "",
        """The address that the `kubernetes` service leads to; pods must be able to reach it. Default: the address of
        the machine's default route.""",
        metavar="IP",
    )
    tls_san: tuple[str, ...] = setting(
        (), "More names and addresses that the server's certificate must hold.", metavar="NAME,..."
    )
    client_ca_file: Path | None = setting(
        None,
        """The authority whose client certificates are believed: the common name is the user, the organisations are the
        groups. Default: the cluster's own authority, in CERT_DIR.""",
        metavar="FILE",
    )
    token_auth_file: Path | None = setting(
        None, 'Static tokens: a line `token,user,uid,"group1,group2"` each.', metavar="FILE"
    )
    anonymous_auth: bool = setting(
        True,
        """Whether a request without credentials is the user system:anonymous, who by default may see health and
        version only.""",
    )
    authorization_mode: tuple[str, ...] = setting(
        ("Node", "RBAC"),
        """Who decides what is allowed: Node, RBAC, Webhook, AlwaysAllow, AlwaysDeny. The first that decides, decides.
        ABAC is not served: write its policy as roles of RBAC.""",
        metavar="MODE,...",
    )
    authorization_config: Path | None = setting(
        None,
        """An AuthorizationConfiguration (apiserver.config.k8s.io/v1), which takes the place of the modes: several
        authorizers in order, webhooks with conditions among them. It is read again when it changes.""",
        metavar="FILE",
    )
    authorization_webhook_config_file: Path | None = setting(
        None, "A kubeconfig that says where the authorizer of the mode Webhook is.", metavar="FILE"
    )
    authentication_config: Path | None = setting(
        None,
        """An AuthenticationConfiguration (apiserver.config.k8s.io/v1): issuers whose tokens count, what their claims
        mean, and who may be anonymous. It is read again when it changes.""",
        metavar="FILE",
    )
    authentication_token_webhook_config_file: Path | None = setting(
        None, "A kubeconfig that says where tokens that nobody here knows are reviewed.", metavar="FILE"
    )
    enable_bootstrap_token_auth: bool = setting(
        False, "Whether bootstrap tokens (Secrets in kube-system) are credentials, for machines that join."
    )
    requestheader_client_ca_file: Path | None = setting(
        None,
        """The authority of front proxies: of whoever shows a certificate of it, the headers that name a user are
        believed. Without it they never are.""",
        metavar="FILE",
    )
    requestheader_allowed_names: tuple[str, ...] = setting(
        (), "Common names that certificates of front proxies may have. Default: any.", metavar="NAME,..."
    )
    requestheader_username_headers: tuple[str, ...] = setting(
        ("X-Remote-User",), "Headers in which a front proxy names the user.", metavar="NAME,..."
    )
    requestheader_uid_headers: tuple[str, ...] = setting(
        (), "Headers in which a front proxy gives the user's UID.", metavar="NAME,..."
    )
    requestheader_group_headers: tuple[str, ...] = setting(
        ("X-Remote-Group",), "Headers in which a front proxy gives the user's groups.", metavar="NAME,..."
    )
    requestheader_extra_headers_prefix: tuple[str, ...] = setting(
        ("X-Remote-Extra-",), "What headers with more about the user begin with.", metavar="PREFIX,..."
    )
    service_cluster_ip_range: str = setting(
        "10.96.0.0/16", "Where the addresses of Services come from. The first is the API's own.", metavar="CIDR"
    )
    enable_admission_plugins: tuple[str, ...] = setting(
        (), "Admission plugins beyond the default ones.", metavar="NAME,..."
    )
    disable_admission_plugins: tuple[str, ...] = setting(
        (), "Default admission plugins to do without.", metavar="NAME,..."
    )
    admission_control_config_file: Path | None = setting(
        None,
        """An AdmissionConfiguration (apiserver.config.k8s.io/v1): what the plugins PodSecurity, EventRateLimit,
        PodNodeSelector and PodTolerationRestriction are to know.""",
        metavar="FILE",
    )
    service_account_issuer: str = setting(
        "https://kubernetes.default.svc.cluster.local", "Who service account tokens say they are from.", metavar="URL"
    )
    api_audiences: tuple[str, ...] = setting(
        (), "Whom tokens for this server are meant for. Default: the issuer.", metavar="NAME,..."
    )
    encryption_provider_config: Path | None = setting(
        None,
        """An EncryptionConfiguration (apiserver.config.k8s.io/v1): which resources are encrypted in the store, and with
        which keys. The first provider writes, all of them read. Without it everything is stored as it is.""",
        metavar="FILE",
    )
    encryption_provider_config_automatic_reload: bool = setting(
        False, "Follow changes of that file: a key is exchanged without a restart."
    )
    audit_policy_file: Path | None = setting(
        None, "What is told of which requests (audit.k8s.io/v1, Policy). Without it nothing is audited.", metavar="FILE"
    )
    audit_log_path: str = setting(
        "", "The file that audit events are appended to, a line of JSON each; - is standard output.", metavar="FILE"
    )
    audit_log_format: str = setting("json", "How events are written.", choices=("json",))
    audit_log_mode: str = setting(
        "batch",
        """batch: events are written a moment later, many at once; when they come too fast for that, answers wait for
        them, so that none is lost. blocking: every request is answered when its events have been written.""",
        choices=("batch", "blocking"),
    )
    audit_log_maxage: int = setting(0, "How long old log files are kept; 0: any time.", metavar="DAYS")
    audit_log_maxbackup: int = setting(0, "How many old log files are kept; 0: all.", metavar="COUNT")
    audit_log_maxsize: int = setting(0, "From which size on a new log file is begun; 0: 100.", metavar="MEGABYTES")
    audit_log_compress: bool = setting(False, "Compress old log files.")
    audit_webhook_config_file: Path | None = setting(
        None, "A kubeconfig that says which webhook audit events are sent to.", metavar="FILE"
    )
    audit_webhook_mode: str = setting("batch", "As --audit-log-mode, for the webhook.", choices=("batch", "blocking"))
    audit_webhook_batch_buffer_size: int = setting(
        10_000,
        """Events that wait for the webhook at most; what comes on top is dropped, and counted in
        apiserver_audit_error_total.""",
        metavar="COUNT",
    )
    audit_webhook_batch_max_size: int = setting(400, "Events in one call.", metavar="COUNT")
    audit_webhook_batch_max_wait: float = setting(
        30.0, "How long events wait for others before they are sent.", metavar="SECONDS"
    )
    audit_webhook_batch_throttle_qps: float = setting(10.0, "Calls per second, on average.", metavar="RATE")
    audit_webhook_batch_throttle_burst: int = setting(15, "Calls at once.", metavar="COUNT")
    audit_webhook_initial_backoff: float = setting(
        10.0, "How long to wait before a call that failed is repeated for the first time.", metavar="SECONDS"
    )
    cluster_dns_endpoint: str = setting(
        "",
        """Where a node's DNS server answers. The service kube-dns in kube-system, at the tenth address of the service
        range, is made to lead there. Empty: no such service is made.""",
        metavar="NODE=IP:PORT",
    )


@dataclass(frozen=True)
class ControllersOptions:
    """`kaa controllers`: the controllers and the scheduler, in one process."""

    kubeconfig: Path = setting(
        Path(""), "How the controllers reach the API, and as whom. Default: $KUBECONFIG.", metavar="FILE"
    )
    scheduler_kubeconfig: Path | None = setting(
        None, "The same for the scheduler. Default: as the controllers.", metavar="FILE"
    )
    only: str = setting("all", "Run only one of the two.", choices=("all", "controllers", "scheduler"))
    disable: tuple[str, ...] = setting((), "Controllers that are not run, by name.", metavar="NAME,...")
    root_ca_file: Path | None = setting(
        None,
        """The authority that pods check the API's certificate with; it is put into the config map kube-root-ca.crt of
        each namespace. Default: the one of the kubeconfig.""",
        metavar="FILE",
    )
    cluster_cidr: str = setting(
        "10.244.0.0/16", "Where nodes get their pods' ranges from. Empty: they get none.", metavar="CIDR"
    )
    cluster_signing_cert_file: Path | None = setting(
        None,
        """The authority that signs what CertificateSigningRequests ask the built-in signers for. Without it requests
        are approved and denied, and nothing is issued.""",
        metavar="FILE",
    )
    cluster_signing_key_file: Path | None = setting(None, "The key of that authority.", metavar="FILE")
    cluster_signing_duration: float = setting(
        365 * 86400.0, "How long issued certificates are valid; a request may ask for less.", metavar="SECONDS"
    )
    leader_elect: bool = setting(False, "Let one of several such processes act, by a lease. A single one needs none.")


@dataclass(frozen=True)
class AgentOptions:
    """`kaa agent`: a node's kubelet, service proxy and DNS server, in one process."""

    kubeconfig: Path = setting(
        Path(""),
        "How the node reaches the API, as the user system:node:NAME. Default: $KUBECONFIG.",
        metavar="FILE",
    )
    node_name: str = setting("", "The node's name. Default: the machine's host name.", metavar="NAME")
    node_ip: str = setting("", "The node's address. Default: that of the machine's default route.", metavar="IP")
    cluster_id: str = setting(
        "node", "Names of links, tables and chains derive from it; six letters or digits.", metavar="ID"
    )
    root_dir: Path = setting(
        Path("/var/lib/kaa"), "Where volumes, container logs and other files of pods are kept.", metavar="DIR"
    )
    container_runtime_endpoint: str = setting(
        "/run/containerd/containerd.sock", "The socket of the container runtime (CRI).", metavar="SOCKET"
    )
    cgroup_root: str = setting("/kaa", "The cgroup below which pods' cgroups are made.", metavar="PATH")
    port: int = setting(10250, "Where logs, exec and metrics are served, over HTTPS.", metavar="PORT")
    tls_cert_file: Path | None = setting(None, "The certificate of that endpoint.", metavar="FILE")
    tls_private_key_file: Path | None = setting(None, "The key of that certificate.", metavar="FILE")
    client_ca_file: Path | None = setting(
        None, "The authority whose clients may use that endpoint; without it nobody may.", metavar="FILE"
    )
    rotate_certificates: bool = setting(
        True,
        """Ask for a new client certificate, by a CertificateSigningRequest, before the one in the kubeconfig's files
        ends.""",
    )
    pod_cidr: str = setting("", "The node's pods' range, where it is known beforehand.", metavar="CIDR")
    cluster_cidr: str = setting(
        "10.244.0.0/16", "The range of all pods: what leaves it gets the node's address.", metavar="CIDR"
    )
    service_cluster_ip_range: str = setting("10.96.0.0/16", "The range of Services' addresses.", metavar="CIDR")
    cluster_dns: str = setting("", "The name server that pods are given. Empty: the node's own ones.", metavar="IP")
    dns_listen: str = setting("", "Where this node answers the cluster's names. Empty: it doesn't.", metavar="IP:PORT")
    proxy_mode: str = setting(
        "auto",
        "What carries the rules of Services: nftables, iptables, auto for the first that works, or none.",
        choices=("auto", "nftables", "iptables", "none"),
    )
    healthz_port: int = setting(
        0, "Where the service proxy's health is served, for load balancers (the original: 10256). 0: nowhere.",
        metavar="PORT",
    )  # fmt: skip


@dataclass(frozen=True)
class SimulatedOptions:
    """`kaa simulated-nodes`: nodes that are not there, for scale tests and machines without containers."""

    kubeconfig: Path = setting(Path(""), "How they reach the API. Default: $KUBECONFIG.", metavar="FILE")
    nodes: int = setting(1, "How many there are.", metavar="COUNT")
    prefix: str = setting("sim", "Their names: PREFIX-0, PREFIX-1, and so on.", metavar="PREFIX")
    cpu: str = setting("8", "Each one's processors.", metavar="QUANTITY")
    memory: str = setting("32Gi", "Each one's memory.", metavar="QUANTITY")
    pods: int = setting(110, "How many pods each one takes.", metavar="COUNT")
