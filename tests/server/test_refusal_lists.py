"""What a client reads of an object that is wrong in several ways, and of one that is only doubtful."""

import copy

import pytest
from tests.server.world import Api, obj, pod

PODS = "/api/v1/namespaces/default/pods"


async def test_one_problem_stands_by_itself_and_several_in_brackets(api: Api) -> None:
    answer = await api.post(PODS, pod("a", restartPolicy="Sometimes"))
    assert (answer.code, answer.reason) == (422, "Invalid")
    said = 'Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"'
    assert answer.message == f'Pod "a" is invalid: spec.restartPolicy: {said}'
    assert answer.json["details"]["causes"] == [
        {"reason": "FieldValueNotSupported", "message": said, "field": "spec.restartPolicy"}
    ]
    answer = await api.post(
        PODS, pod("a", restartPolicy="Never", volumes=[{"name": "v", "nfs": {"path": "x"}}], hostname="a.b")
    )
    assert answer.message == (
        'Pod "a" is invalid: [spec.volumes[0].nfs.server: Required value, '
        'spec.volumes[0].nfs.path: Invalid value: "x": must be an absolute path, '
        'spec.hostname: Invalid value: "a.b": must not contain dots]'
    )
    assert [cause["reason"] for cause in answer.json["details"]["causes"]] == [
        "FieldValueRequired", "FieldValueInvalid", "FieldValueInvalid",
    ]  # fmt: skip


async def test_an_update_is_refused_with_what_it_would_change(api: Api) -> None:
    kept = (await api.post(PODS, pod("a"))).ok(201)
    changed = copy.deepcopy(kept)
    changed["spec"]["containers"][0]["args"] = ["--more"]
    answer = await api.put(f"{PODS}/a", changed)
    assert answer.code == 422
    assert answer.message.startswith(
        'Pod "a" is invalid: spec: Forbidden: pod updates may not change fields other than '
        "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
    )
    assert '- \t\t\tArgs: nil,\n+ \t\t\tArgs: []string{"--more"},\n' in answer.message
    changed = copy.deepcopy(kept)
    changed["spec"]["containers"].append({"name": "d", "image": "busybox"})
    answer = await api.put(f"{PODS}/a", changed)
    assert answer.message == (
        'Pod "a" is invalid: spec.containers: Forbidden: pod updates may not add or remove containers'
    )


async def test_what_is_doubtful_is_warned_of(api: Api) -> None:
    doubtful = pod("a.b", terminationGracePeriodSeconds=-1, nodeSelector={"beta.kubernetes.io/arch": "amd64"})
    answer = await api.post(PODS, doubtful)
    answer.ok(201)
    warned = answer.headers["warning"] if "warning" in answer.headers else answer.headers["Warning"]
    for said in (
        "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; "
        "a DNS label is recommended: [must not contain dots]",
        'spec.nodeSelector[beta.kubernetes.io/arch]: deprecated since v1.14; use \\"kubernetes.io/arch\\" instead',
        "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1",
    ):
        assert f'299 - "{said}"' in warned


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        (
            "/apis/apps/v1/namespaces/default/deployments",
            obj("Deployment", "d", "apps/v1", spec={"selector": {}, "template": {}}),
            'Deployment.apps "d" is invalid: [spec.selector: Invalid value: {}: empty selector is invalid for '
            "deployment, spec.template.spec.containers: Required value]",
        ),
        (
            "/apis/batch/v1/namespaces/default/cronjobs",
            obj(
                "CronJob", "c" * 53, "batch/v1",
                spec={"schedule": "61 * * * *", "jobTemplate": {"spec": {"template": {"spec": {
                    "containers": [{"name": "c", "image": "i"}]}}}}},
            ),
            f'CronJob.batch "{"c" * 53}" is invalid: [spec.schedule: Invalid value: "61 * * * *": end of range (61) '
            "above maximum (59): 61, spec.jobTemplate.spec.template.spec.restartPolicy: Required value: "
            f'valid values: "OnFailure", "Never", metadata.name: Invalid value: "{"c" * 53}": '
            "must be no more than 52 characters]",
        ),
        (
            "/api/v1/namespaces/default/services",
            obj("Service", "s", spec={"type": "ExternalName", "ports": [{"port": 0}]}),
            'Service "s" is invalid: [spec.externalName: Required value, spec.ports[0].port: Invalid value: 0: must be '
            "between 1 and 65535, inclusive, spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, "
            "inclusive]",
        ),
    ],
)  # fmt: skip
async def test_other_kinds(api: Api, path: str, body: dict[str, object], message: str) -> None:
    answer = await api.post(path, body)
    assert (answer.code, answer.message) == (422, message)
