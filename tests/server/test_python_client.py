"""The official Python client, against a listening server."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes import client, config, dynamic, utils, watch
from tests.server.live import LiveServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    live = LiveServer(tmp_path_factory.mktemp("client"))
    live.start()
    yield live
    live.stop()


@pytest.fixture
def api(server: LiveServer) -> Iterator[client.ApiClient]:
    made = config.new_client_from_config(str(server.kubeconfig))
    core = client.CoreV1Api(made)
    if not core.list_namespaced_service_account("default").items:
        core.create_namespaced_service_account("default", {"metadata": {"name": "default"}})
    yield made
    made.close()


def test_versions(api: client.ApiClient) -> None:
    assert client.VersionApi(api).get_code().git_version.startswith("v1.36")
    assert "apps" in [group.name for group in client.ApisApi(api).get_api_versions().groups]


def test_config_maps(api: client.ApiClient) -> None:
    core = client.CoreV1Api(api)
    body = client.V1ConfigMap(metadata=client.V1ObjectMeta(name="a", labels={"x": "y"}), data={"k": "v"})
    made = core.create_namespaced_config_map("default", body)
    assert made.metadata.uid and core.read_namespaced_config_map("a", "default").data == {"k": "v"}
    with pytest.raises(client.ApiException) as taken:
        core.create_namespaced_config_map("default", body)
    assert taken.value.status == 409
    core.patch_namespaced_config_map("a", "default", {"data": {"k": "w"}})
    made = core.read_namespaced_config_map("a", "default")
    made.data["z"] = "1"
    assert core.replace_namespaced_config_map("a", "default", made).data == {"k": "w", "z": "1"}
    assert [each.metadata.name for each in core.list_namespaced_config_map("default", label_selector="x=y").items] == [
        "a"
    ]
    core.patch_namespaced_config_map("a", "default", [{"op": "remove", "path": "/data/z"}])
    gone = core.delete_namespaced_config_map("a", "default")  # a Status: a dict in some releases of the client
    assert (gone if isinstance(gone, dict) else gone.to_dict())["status"] == "Success"
    with pytest.raises(client.ApiException) as absent:
        core.read_namespaced_config_map("a", "default")
    assert absent.value.status == 404


def test_common_kinds(api: client.ApiClient) -> None:
    core, apps, batch = client.CoreV1Api(api), client.AppsV1Api(api), client.BatchV1Api(api)
    container = client.V1Container(name="c", image="busybox")
    template = client.V1PodTemplateSpec(
        metadata=client.V1ObjectMeta(labels={"a": "b"}), spec=client.V1PodSpec(containers=[container])
    )
    apps.create_namespaced_deployment(
        "default",
        client.V1Deployment(
            metadata=client.V1ObjectMeta(name="d"),
            spec=client.V1DeploymentSpec(
                replicas=1, selector=client.V1LabelSelector(match_labels={"a": "b"}), template=template
            ),
        ),
    )
    scale = apps.read_namespaced_deployment_scale("d", "default")
    scale.spec.replicas = 4
    assert apps.replace_namespaced_deployment_scale("d", "default", scale).spec.replicas == 4
    assert apps.read_namespaced_deployment("d", "default").spec.replicas == 4
    status = {"status": {"replicas": 4, "readyReplicas": 1}}
    assert apps.patch_namespaced_deployment_status("d", "default", status).status.ready_replicas == 1
    core.create_namespaced_service(
        "default",
        client.V1Service(
            metadata=client.V1ObjectMeta(name="s"), spec=client.V1ServiceSpec(ports=[client.V1ServicePort(port=80)])
        ),
    )
    assert core.read_namespaced_service("s", "default").spec.cluster_ip.startswith("10.96.")
    core.create_namespaced_secret(
        "default", client.V1Secret(metadata=client.V1ObjectMeta(name="x"), string_data={"k": "v"})
    )
    assert core.read_namespaced_secret("x", "default").data == {"k": "dg=="}
    core.create_namespaced_pod("default", client.V1Pod(metadata=client.V1ObjectMeta(name="p"), spec=template.spec))
    # The generated client cannot read the Status that binding answers with, whoever answers.
    binding = client.V1Binding(
        metadata=client.V1ObjectMeta(name="p"), target=client.V1ObjectReference(kind="Node", name="n1")
    )
    core.create_namespaced_pod_binding("p", "default", binding, _preload_content=False)
    assert core.list_pod_for_all_namespaces(field_selector="spec.nodeName=n1").items[0].metadata.name == "p"
    eviction = client.V1Eviction(metadata=client.V1ObjectMeta(name="p"))
    core.create_namespaced_pod_eviction("p", "default", eviction)
    core.delete_namespaced_pod("p", "default", grace_period_seconds=0)
    batch.create_namespaced_job(
        "default",
        client.V1Job(
            metadata=client.V1ObjectMeta(name="j"),
            spec=client.V1JobSpec(
                template=client.V1PodTemplateSpec(spec=client.V1PodSpec(restart_policy="Never", containers=[container]))
            ),
        ),
    )
    assert batch.list_namespaced_job("default").items[0].spec.completions == 1
    core.delete_collection_namespaced_secret("default")
    assert core.list_namespaced_secret("default").items == []
    client.CoordinationV1Api(api).create_namespaced_lease(
        "default", client.V1Lease(metadata=client.V1ObjectMeta(name="l"))
    )
    client.RbacAuthorizationV1Api(api).list_cluster_role()
    client.NetworkingV1Api(api).list_ingress_for_all_namespaces()
    client.StorageV1Api(api).list_storage_class()
    client.AutoscalingV2Api(api).list_horizontal_pod_autoscaler_for_all_namespaces()
    client.PolicyV1Api(api).list_pod_disruption_budget_for_all_namespaces()
    client.DiscoveryV1Api(api).list_endpoint_slice_for_all_namespaces()
    client.EventsV1Api(api).list_event_for_all_namespaces()


def test_watch(api: client.ApiClient) -> None:
    core = client.CoreV1Api(api)
    listed = core.list_namespaced_config_map("kube-public")

    def change() -> None:
        core.create_namespaced_config_map("kube-public", {"metadata": {"name": "w"}})
        core.patch_namespaced_config_map("w", "kube-public", {"data": {"a": "b"}})
        core.delete_namespaced_config_map("w", "kube-public")

    changing = threading.Timer(0.3, change)
    changing.start()
    watching, told = watch.Watch(), []
    for event in watching.stream(
        core.list_namespaced_config_map,
        "kube-public",
        resource_version=listed.metadata.resource_version,
        timeout_seconds=10,
    ):
        told.append((event["type"], event["object"].metadata.name))
        if event["type"] == "DELETED":
            watching.stop()
    changing.join()
    assert told == [("ADDED", "w"), ("MODIFIED", "w"), ("DELETED", "w")]


def test_pages(api: client.ApiClient) -> None:
    core = client.CoreV1Api(api)
    for number in range(7):
        core.create_namespaced_config_map("kube-node-lease", {"metadata": {"name": f"p{number}"}})
    names, token = [], None
    while True:
        page = core.list_namespaced_config_map("kube-node-lease", limit=3, _continue=token)
        names += [each.metadata.name for each in page.items]
        token = page.metadata._continue
        if not token:
            break
    assert names == [f"p{number}" for number in range(7)]


def test_the_dynamic_client(api: client.ApiClient, tmp_path: Path) -> None:
    dynamic_client = dynamic.DynamicClient(api, cache_file=str(tmp_path / "discovery.json"))
    found = dynamic_client.resources.get(api_version="v1", kind="ConfigMap")
    made = found.create(
        namespace="default", body={"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "dyn"}}
    )
    assert made.metadata.name == "dyn"
    applied = found.server_side_apply(
        namespace="default",
        name="dyn",
        field_manager="me",
        body={"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "dyn"}, "data": {"a": "b"}},
    )
    assert applied.data.a == "b"
    assert found.delete(name="dyn", namespace="default").status == "Success"


def test_manifests(api: client.ApiClient) -> None:
    utils.create_from_dict(
        api,
        {
            "kind": "List",
            "apiVersion": "v1",
            "items": [
                {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "m1"}},
                {"kind": "Service", "apiVersion": "v1", "metadata": {"name": "m2"}, "spec": {"ports": [{"port": 80}]}},
            ],
        },
    )
    assert client.CoreV1Api(api).read_namespaced_service("m2", "default").spec.type == "ClusterIP"


def test_reviews_and_tokens(server: LiveServer, api: client.ApiClient) -> None:
    core = client.CoreV1Api(api)
    request = client.AuthenticationV1TokenRequest(spec=client.V1TokenRequestSpec(audiences=[], expiration_seconds=600))
    token = core.create_namespaced_service_account_token("default", "default", request).status.token
    review = client.AuthorizationV1Api(api).create_self_subject_access_review(
        client.V1SelfSubjectAccessReview(
            spec=client.V1SelfSubjectAccessReviewSpec(
                resource_attributes=client.V1ResourceAttributes(verb="get", resource="pods", namespace="default")
            )
        )
    )
    assert review.status.allowed
    own = client.Configuration()
    own.host, own.ssl_ca_cert = api.configuration.host, api.configuration.ssl_ca_cert
    own.api_key = {"authorization": f"Bearer {token}"}
    with client.ApiClient(own) as as_account:
        me = client.AuthenticationV1Api(as_account).create_self_subject_review(client.V1SelfSubjectReview())
        assert me.status.user_info.username == "system:serviceaccount:default:default"
        with pytest.raises(client.ApiException) as refused:
            client.CoreV1Api(as_account).list_namespaced_pod("default")
        assert refused.value.status == 403
    own.api_key = {"authorization": "Bearer nonsense"}
    with client.ApiClient(own) as as_nobody, pytest.raises(client.ApiException) as unknown:
        client.CoreV1Api(as_nobody).list_namespaced_pod("default")
    assert unknown.value.status == 401
