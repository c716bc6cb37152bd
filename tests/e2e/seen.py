"""The pods and what they read, for the stories of what a container sees."""

from typing import Any

NAMESPACE = "seen"
Json = dict[str, Any]
SHELL = "busybox:1.36"
AMOUNTS = {"requests": {"cpu": "250m", "memory": "32Mi"}, "limits": {"cpu": "1250m", "memory": "64Mi"}}
MODE = "stat -L -c %a"


def downward(
    path: str, field: str = "", resource: str = "", container: str = "", divisor: str = "", mode: int = 0
) -> Json:
    item: Json = {"path": path}
    if field:
        item["fieldRef"] = {"fieldPath": field}
    else:
        item["resourceFieldRef"] = {"resource": resource, "containerName": container, **(
            {"divisor": divisor} if divisor else {})}  # fmt: skip
    return {**item, "mode": mode} if mode else item


def env(name: str, value: str = "", field: str = "", resource: str = "", **source: Json) -> Json:
    if field:
        return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": field}}}
    if resource:
        return {"name": name, "valueFrom": {"resourceFieldRef": {"resource": resource}}}
    return {"name": name, "valueFrom": source} if source else {"name": name, "value": value}


def container(name: str, script: str, mounts: dict[str, str] | None = None, **more: Any) -> Json:
    """Mounts are volume -> path; `volume:sub` is a sub path."""
    made: list[Json] = []
    for volume, path in (mounts or {}).items():
        volume, _, sub = volume.partition(":")
        made.append({"name": volume, "mountPath": path, **({"subPath": sub} if sub else {})})
    return {"name": name, "image": SHELL, "command": ["sh", "-c", script], "volumeMounts": made, **more}


def pod(name: str, containers: list[Json], volumes: dict[str, Json] | None = None, metadata: Json | None = None,
        **spec: Any) -> Json:  # fmt: skip
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": NAMESPACE, **(metadata or {})},
            "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": containers,
                     "volumes": [{"name": key, **each} for key, each in (volumes or {}).items()], **spec}}  # fmt: skip


def projected(*sources: Json, mode: int | None = None) -> Json:
    return {"projected": {"sources": list(sources), **({"defaultMode": mode} if mode is not None else {})}}


LIMITS = [downward("cpu_limit", resource="limits.cpu", container="main", divisor="1m"),
          downward("memory_limit", resource="limits.memory", container="main"),
          downward("cpu_request", resource="requests.cpu", container="main", divisor="1m"),
          downward("memory_request", resource="requests.memory", container="main"),
          downward("free_cpu", resource="limits.cpu", container="free"),
          downward("free_memory", resource="limits.memory", container="free"),
          downward("podname", field="metadata.name")]  # fmt: skip
ITEMS = [{"key": "data-2", "path": "path/to/data-2"}]
ITEMS_400 = [{"key": "data-2", "path": "path/to/data-2", "mode": 0o400}]
SECRET_400 = [{"key": "data-1", "path": "new-path-data-1", "mode": 0o400}]
EMPTY = "umask 0; echo content > /v/f; chmod $1 /v/f; echo $(stat -c %a /v) $(stat -c %a /v/f) $(cat /v/f); " \
        "grep ' /v ' /proc/mounts | cut -d' ' -f3"  # fmt: skip


def objects() -> list[Json]:
    found: list[Json] = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm", "namespace": NAMESPACE},
         "data": {"data-1": "value-1", "data-2": "value-2", "data-3": "value-3"},
         "binaryData": {"dump.bin": "3q2+7w=="}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "sec", "namespace": NAMESPACE},
         "stringData": {"data-1": "value-1", "data-2": "value-2"}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "sec", "namespace": "default"},
         "stringData": {"data-1": "another"}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "fooservice", "namespace": NAMESPACE},
         "spec": {"selector": {"app": "none"}, "ports": [{"port": 8765, "targetPort": 8080}]}},
    ]  # fmt: skip
    cm, sec = {"configMap": {"name": "cm"}}, {"secret": {"secretName": "sec"}}
    volumes = {
        "cm": cm, "mapped": {"configMap": {"name": "cm", "items": ITEMS}},
        "pcm": projected(cm), "pcm400": projected({"configMap": {"name": "cm", "items": ITEMS_400}}),
        "pmapped": projected({"configMap": {"name": "cm", "items": ITEMS}}),
        "sec": sec, "sec400": {"secret": {"secretName": "sec", "defaultMode": 0o400}},
        "smapped": {"secret": {"secretName": "sec", "items": SECRET_400}},
        "psec": projected({"secret": {"name": "sec"}}),
        "psmapped": projected({"secret": {"name": "sec", "items": SECRET_400}}),
        "down": {"downwardAPI": {"items": [*LIMITS, downward("podname400", field="metadata.name", mode=0o400)]}},
        "pdown": projected({"downwardAPI": {"items": LIMITS}}),
        "all": projected({"secret": {"name": "sec", "items": [{"key": "data-1", "path": "secret"}]}},
                         {"configMap": {"name": "cm", "items": [{"key": "data-1", "path": "config"}]}},
                         {"downwardAPI": {"items": LIMITS}}),
    }  # fmt: skip
    show = ("for f in $(cd /v; find -L . -type f ! -path '*/..*' ! -name dump.bin | sort); "
            "do echo $f $(stat -L -c %a /v/$f) $(cat /v/$f); done")  # fmt: skip
    root = [container(each, show, {each: "/v"}) for each in volumes]
    root += [container("binary", "od -An -tx1 /v/dump.bin", {"cm": "/v"}),
             container("twice", "cat /a/data-1 /b/data-1", {"pcm": "/a", "psec": "/b"}),
             container("same-twice", "cat /a/data-1 /b/data-1", {"pcm": "/a", "cm": "/b"}),
             container("secrets-twice", f"cat /a/data-1; {MODE} /b/new-path-data-1; cat /b/new-path-data-1",
                       {"sec": "/a", "psmapped": "/b"}),
             container("sub", "cat /file; ls /file", {"cm:data-2": "/file"}),
             container("main", "sleep 1", resources=AMOUNTS), container("free", "true")]  # fmt: skip
    found.append(pod("volumes", root, volumes))
    users = {"securityContext": {"runAsUser": 1000, "fsGroup": 1001}}
    plain = {"securityContext": {"runAsUser": 1000}}
    found.append(pod("as-user", [container(each, f"id -u; {show}", {each: "/v"}) for each in
                                 ("cm", "mapped", "pcm", "pmapped")],
                     {each: volumes[each] for each in ("cm", "mapped", "pcm", "pmapped")}, **plain))  # fmt: skip
    own = {"sec": {"secret": {"secretName": "sec", "defaultMode": 0o440}},
           "psec": projected({"secret": {"name": "sec"}}, mode=0o440)}  # fmt: skip
    found.append(pod("with-group", [container(each, f"id -u; {show}", {each: "/v"}) for each in own], own, **users))
    # One pod with every form of emptyDir, as root and as somebody.
    empties: dict[str, Json] = {}
    made = []
    for medium in ("", "Memory"):
        for user in ("root", "user"):
            for mode in ("644", "666", "777"):
                key = f"{medium.lower() or 'default'}-{user}-{mode}"
                empties[key] = {"emptyDir": {"medium": medium} if medium else {}}
                made.append(container(key, f"set -- {mode}; {EMPTY}", {key: "/v"}, **(
                    {"securityContext": {"runAsUser": 1001}} if user == "user" else {})))  # fmt: skip
    empties["shared"] = {"emptyDir": {}}
    made += [container("gives", "echo hello > /v/shared", {"shared": "/v"}),
             container("takes", "until [ -s /v/shared ]; do sleep 0.1; done; cat /v/shared",
                       {"shared": "/v"})]  # fmt: skip
    found.append(pod("empty", made, empties))
    environment = [
        env("POD_NAME", field="metadata.name"), env("POD_NAMESPACE", field="metadata.namespace"),
        env("POD_IP", field="status.podIP"), env("HOST_IP", field="status.hostIP"),
        env("HOST_IPS", field="status.hostIPs"), env("POD_UID", field="metadata.uid"),
        env("CPU_LIMIT", resource="limits.cpu"), env("MEMORY_LIMIT", resource="limits.memory"),
        env("CPU_REQUEST", resource="requests.cpu"), env("MEMORY_REQUEST", resource="requests.memory"),
        env("FROM_CM", configMapKeyRef={"name": "cm", "key": "data-1"}),
        env("FROM_SECRET", secretKeyRef={"name": "sec", "key": "data-1"}),
        env("FOO", "foo-value"), env("BAR", "bar-value"), env("FOOBAR", "$(FOO);;$(BAR)"), env("DOLLARS", "$$(FOO)"),
    ]  # fmt: skip
    sources = [{"configMapRef": {"name": "cm"}}, {"prefix": "p-", "configMapRef": {"name": "cm"}},
               {"prefix": "s_", "secretRef": {"name": "sec"}},
               {"prefix": "1-", "secretRef": {"name": "sec"}}]  # fmt: skip
    expanded = container("expanded", "", env=[env("WORD", "test-value")])
    expanded["command"], expanded["args"] = (
        ["sh", "-c", "echo $(WORD) \"$0\" $1 '$$(WORD)'"],
        ["$(WORD)-arg", "$(NONE)"],
    )
    found.append(pod("environment", [
        {**container("main", ""), "command": ["env"], "env": environment, "resources": AMOUNTS, "envFrom": sources},
        container("free", "env", env=[env("CPU_LIMIT", resource="limits.cpu"),
                                      env("MEMORY_LIMIT", resource="limits.memory")]),
        expanded,
        container("kubelet-log", "echo hello stdout; echo hello stderr >&2"),
        container("fails", "exit 7"),
        container("unprivileged", "ip link add dummy9 type dummy && echo made || echo refused",
                  securityContext={"privileged": False}),
        container("nobody", "id -u", securityContext={"runAsUser": 65534}),
        container("groups", "id -u; id -g", securityContext={"runAsUser": 1001, "runAsGroup": 2002}),
        container("read-only", "echo x > /file || echo refused", securityContext={"readOnlyRootFilesystem": True}),
    ]))  # fmt: skip
    found.append(pod("pod-groups", [container("main", "id -u; id -g")], securityContext={
        "runAsUser": 1001, "runAsGroup": 2002}))  # fmt: skip
    orders = [container("first", "echo 1 >> /v/log", {"v": "/v"}), container("second", "echo 2 >> /v/log", {"v": "/v"})]
    found.append(
        pod("init", [container("main", "cat /v/log", {"v": "/v"})], {"v": {"emptyDir": {}}}, initContainers=orders)
    )
    found.append(pod("again", [container("main", "exit 1")], restartPolicy="OnFailure"))
    found.append(pod("deadline", [container("main", "sleep 60")], activeDeadlineSeconds=2))
    found.append(pod("unready", [container("main", "sleep 60", readinessProbe={
        "exec": {"command": ["false"]}, "periodSeconds": 1})]))  # fmt: skip
    hook = {"postStart": {"exec": {"command": ["sh", "-c", "echo started > /v/post"]}}}
    waits = container("main", "trap 'exit 0' TERM; while true; do sleep 1 & wait $!; done", {"v": "/v"}, lifecycle=hook)
    found.append(pod("hooked", [waits], {"v": {"emptyDir": {}}}))
    return found
