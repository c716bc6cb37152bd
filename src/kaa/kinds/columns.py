"""What the columns of tables are about, in a sentence: for kinds whose own columns do not say it."""

from __future__ import annotations

__all__ = ["description_of"]

#: Columns that mean the same wherever they stand.
_COMMON = {
    "Name": "the name, unique among objects of this kind in their namespace",
    "Age": "how long ago it was created",
    "Created At": "when it was created",
    "Containers": "the names of the containers",
    "Images": "the images of the containers",
    "Selector": "the labels of the pods it is about",
    "Labels": "its labels",
}

#: Kind -> column -> what it is about.
_OF_KIND = {
    "ComponentStatus": {
        "Status": "whether the component is healthy",
        "Message": "what the component says of itself",
        "Error": "why the component could not be asked",
    },
    "ConfigMap": {"Data": "how many keys it has"},
    "ControllerRevision": {"Controller": "what it is a revision of", "Revision": "which revision it is"},
    "CronJob": {
        "Schedule": "when it starts a job, in the form of cron",
        "Timezone": "the time zone of the schedule",
        "Suspend": "whether it starts none for now",
        "Active": "how many of its jobs run",
        "Last Schedule": "how long ago it last started one",
    },
    "DaemonSet": {
        "Desired": "on how many nodes its pod should run",
        "Current": "on how many of these it does",
        "Ready": "on how many of these it is ready",
        "Up-to-date": "how many of its pods are of the newest template",
        "Available": "how many of its pods have been ready long enough",
        "Node Selector": "the labels of the nodes it is for",
    },
    "Deployment": {
        "Ready": "how many pods are ready, of how many there should be",
        "Up-to-date": "how many pods are of the newest template",
        "Available": "how many pods have been ready long enough",
    },
    "Endpoints": {"Endpoints": "addresses and ports behind the service of this name"},
    "Job": {
        "Status": "whether it runs, is complete, failed or is suspended",
        "Completions": "how many pods succeeded, of how many should",
        "Duration": "how long it has taken",
    },
    "Namespace": {"Status": "whether it is active or terminating"},
    "Node": {
        "Status": "whether it is ready, and whether it takes new pods",
        "Roles": "what its labels say it is for",
        "Version": "the version of its kubelet",
        "Internal-IP": "its address within the cluster",
        "External-IP": "its address from outside",
        "OS-Image": "its operating system",
        "Kernel-Version": "its kernel",
        "Container-Runtime": "what runs its containers",
    },
    "Pod": {
        "Ready": "how many containers are ready, of how many there are",
        "Status": "where the pod is in its life, or what keeps it from going on",
        "Restarts": "how often its containers were restarted, and how long ago the last time was",
        "IP": "its address",
        "Node": "where it runs",
        "Nominated Node": "where it will run once others were pushed out for it",
        "Readiness Gates": "how many of the conditions it waits for beside its containers are true",
    },
    "PodTemplate": {"Pod Labels": "the labels pods made of it get"},
    "ReplicaSet": {
        "Desired": "how many pods there should be",
        "Current": "how many pods there are",
        "Ready": "how many of these are ready",
    },
    "ResourceQuota": {
        "Request": "what is asked for, of how much may be",
        "Limit": "what limits add up to, of how much they may",
    },
    "Secret": {"Type": "what kind of secret it is", "Data": "how many keys it has"},
    "Service": {
        "Type": "how it is reached: ClusterIP, NodePort, LoadBalancer or ExternalName",
        "Cluster-IP": "its address within the cluster",
        "External-IP": "its addresses from outside",
        "Port(s)": "its ports, each with the node's where it has one",
    },
    "ServiceAccount": {"Secrets": "how many secrets belong to it"},
    "StatefulSet": {"Ready": "how many pods are ready, of how many there should be"},
}
_OF_KIND["ReplicationController"] = _OF_KIND["ReplicaSet"]


def description_of(kind: str, column: str) -> str:
    """The sentence for a column of a kind; "" where there is none."""
    return _OF_KIND.get(kind, {}).get(column) or _COMMON.get(column, "")
