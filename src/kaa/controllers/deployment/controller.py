"""Deployments: claim the replica sets, carry the plans out, report."""

from collections.abc import Iterable, Sequence
from typing import Any

from kaa.controllers.deployment import history
from kaa.controllers.deployment.rollout import (
    Scale,
    is_scaling_event,
    new_set_replicas,
    plan_new,
    plan_old,
    plan_proportional,
)
from kaa.controllers.deployment.status import Conditions, has_deadline, paused_conditions, report
from kaa.controllers.shared.claims import claim, selector_of
from kaa.controllers.shared.objects import is_namespace_going, view_of
from kaa.kinds.views.apps import Deployment, ReplicaSet
from kaa.kinds.views.core import Pod
from kaa.meta.errors import StatusError
from kaa.runtime import Controller, For, Maps, Owns, Parts, Result, Session

__all__ = ["DeploymentController"]

Json = dict[str, Any]


def deployment_matters(old: Deployment | None, new: Deployment | None) -> bool:
    """Whether a change of a deployment is more than its status and its revision."""
    if old is None or new is None:
        return True
    if old.metadata.generation != new.metadata.generation or old.deleting != new.deleting:
        return True
    before, after = old.annotations, new.annotations
    return before != after and (
        {name: value for name, value in before.items() if name != history.REVISION}
        != {name: value for name, value in after.items() if name != history.REVISION}
    )


def orphan_matters(old: ReplicaSet | None, new: ReplicaSet | None) -> bool:
    """Whether a replica set without a controller could be adopted now and could not before."""
    if new is None or new.deleting or new.controller is not None:
        return False
    return old is None or old.labels != new.labels or old.controller is not None


def deployments_selecting(set_: ReplicaSet, controller: "DeploymentController") -> Iterable[str]:
    """The deployments that would adopt a replica set that has no controller."""
    if set_.controller is not None or set_.deleting:
        return ()
    return [
        each.key for each in controller.deployments.in_namespace(set_.namespace)
        if selector_of(each.spec.selector).matches(set_.labels)
    ]  # fmt: skip


def pod_ended(old: Pod | None, new: Pod | None) -> bool:
    """A pod is gone, or finished: what a deployment that recreates waits for."""
    return old is not None and (new is None or (new.finished and not old.finished))


def recreating_owner(pod: Pod, controller: "DeploymentController") -> Iterable[str]:
    """The deployment of a pod, if it recreates."""
    owner = pod.controller
    if owner is None or owner.kind != "ReplicaSet":
        return ()
    set_ = controller.sets.get(owner.name, pod.namespace)
    above = set_.controller if set_ is not None else None
    if above is None or above.kind != "Deployment":
        return ()
    deployment = controller.deployments.get(above.name, pod.namespace)
    return (deployment.key,) if deployment is not None and deployment.spec.strategy.type == "Recreate" else ()


class DeploymentController(Controller[Deployment]):
    """Roll each Deployment from its old replica sets to the one with its present template."""

    name, workers = "deployment", 5
    watches = (
        For(Deployment, when=deployment_matters),
        Owns(ReplicaSet),
        Maps(ReplicaSet, deployments_selecting, when=orphan_matters),
        Maps(Pod, recreating_owner, when=pod_ended),
    )

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self.deployments = parts.informers.of(Deployment).lister
        self.sets = parts.informers.of(ReplicaSet).lister
        self.pods = parts.informers.of(Pod).lister

    async def reconcile(self, obj: Deployment, io: Session) -> Result | None:
        selector = selector_of(obj.spec.selector)
        if selector.empty:
            io.event(
                obj, "Warning", "SelectingAll",
                "This deployment is selecting all pods. A non-empty selector is required.",
            )  # fmt: skip
            return None
        sets = await claim(io, obj, selector, self.sets.owned_by(obj.uid), self.sets.orphans(obj.namespace))
        rollout = _Rollout(io, obj, sets)
        try:
            return await self._go_on(rollout)
        except StatusError as error:
            if is_namespace_going(error) or error.code == 404:
                return None  # it is going, or was deleted meanwhile
            raise

    async def _go_on(self, rollout: "_Rollout") -> Result | None:
        deployment = rollout.deployment
        if deployment.deleting:
            return await rollout.finish(rolling_out=False)
        paused_conditions(deployment, rollout.conditions, rollout.io.clock.now())
        if deployment.spec.paused or is_scaling_event(deployment, rollout.sets):
            await rollout.sync_new()
            for scale in plan_proportional(deployment, rollout.old, rollout.new):
                await rollout.carry_out(scale)
            return await rollout.finish(rolling_out=False, clean_up=deployment.spec.paused)
        await rollout.sync_new()
        if deployment.spec.strategy.type == "Recreate":
            return await self._recreate(rollout)
        if rollout.new is None and not await rollout.make_new():
            return Result(0.0)
        assert rollout.new is not None
        up = plan_new(deployment, rollout.sets, rollout.new)
        if up is not None:
            await rollout.carry_out(up)
        for down in plan_old(deployment, rollout.old, rollout.new):
            await rollout.carry_out(down)
        return await rollout.finish()

    async def _recreate(self, rollout: "_Rollout") -> Result | None:
        wanting = [each for each in rollout.old if each.spec.replicas > 0]
        for each in wanting:
            await rollout.carry_out(Scale(each, 0))
        if wanting or self._old_pods_run(rollout.old):
            return await rollout.finish()
        if rollout.new is None and not await rollout.make_new():
            return Result(0.0)
        assert rollout.new is not None
        await rollout.carry_out(Scale(rollout.new, rollout.deployment.spec.replicas))
        return await rollout.finish()

    def _old_pods_run(self, old: Sequence[ReplicaSet]) -> bool:
        """Pods of the old template are there, terminating ones included: two versions must not run side by side."""
        return any(
            each.status.replicas > 0 or any(not pod.finished for pod in self.pods.owned_by(each.uid)) for each in old
        )


class _Rollout:
    """One reconcile of one deployment: what is known, kept up to date with what is written."""

    def __init__(self, io: Session, deployment: Deployment, sets: Sequence[ReplicaSet]) -> None:
        self.io = io
        self.deployment = deployment
        self.conditions = Conditions(deployment)
        found = history.find_new(deployment, sets)
        self._new_uid = found.uid if found is not None else ""
        self._sets = {each.uid: each for each in sets}

    @property
    def sets(self) -> list[ReplicaSet]:
        """All of them."""
        return list(self._sets.values())

    @property
    def new(self) -> ReplicaSet | None:
        """The one with the present template."""
        return self._sets.get(self._new_uid)

    @property
    def old(self) -> list[ReplicaSet]:
        """All others."""
        return [each for each in self._sets.values() if each.uid != self._new_uid]

    async def sync_new(self) -> None:
        """Have the new replica set, if there is one, carry what the deployment says of it, and the latest revision."""
        new = self.new
        if new is None:
            return
        revision = history.max_revision(self.old) + 1
        annotations = history.wanted_annotations(self.deployment, new.annotations, revision)
        min_ready = self.deployment.spec.min_ready_seconds
        if annotations or new.spec.min_ready_seconds != min_ready:
            await self._patch(new, annotations, {"minReadySeconds": min_ready})
        if has_deadline(self.deployment) and self.conditions.get("Progressing") is None:
            self._progressing("True", "FoundNewReplicaSet", f'Found new replica set "{new.name}"')

    async def make_new(self) -> bool:
        """Make the replica set of the present template. False when its name is taken: the next look tries another."""
        io, deployment = self.io, self.deployment
        replicas = new_set_replicas(deployment, self.old, 0)
        body = history.new_replica_set(deployment, replicas, history.max_revision(self.old) + 1)
        name = body["metadata"]["name"]
        try:
            made = view_of(ReplicaSet, await io.create(ReplicaSet.resource, body))
        except StatusError as error:
            if error.reason == "AlreadyExists":
                return await self._name_taken(name)
            if not is_namespace_going(error):
                message = f'Failed to create new replica set "{name}": {error}'
                if has_deadline(deployment):
                    self._progressing("False", "ReplicaSetCreateError", message)
                    await self.finish(rolling_out=False)
                io.event(deployment, "Warning", "ReplicaSetCreateError", message)
            raise
        self._take_new(made)
        if replicas > 0:
            io.event(deployment, "Normal", "ScalingReplicaSet", f"Scaled up replica set {name} from 0 to {replicas}")
        if has_deadline(deployment):
            self._progressing("True", "NewReplicaSetCreated", f'Created new replica set "{name}"')
        return True

    async def _name_taken(self, name: str) -> bool:
        live = await self.io.client.get(ReplicaSet, name, self.deployment.namespace)
        owner = live.controller
        if (
            owner is not None
            and owner.uid == self.deployment.uid
            and history.same_template(live.spec.template, self.deployment.spec.template)
        ):
            self._take_new(live)  # made before, and not in the cache yet
            return True
        await self.finish(rolling_out=False, collisions=(self.deployment.status.collision_count or 0) + 1)
        return False

    def _take_new(self, new: ReplicaSet) -> None:
        self._new_uid = new.uid
        self._sets[new.uid] = new

    async def carry_out(self, scale: Scale) -> None:
        """Have a replica set want so many pods, and remember the size of the whole."""
        set_ = scale.set
        annotations = {
            name: value
            for name, value in history.scale_annotations(self.deployment).items()
            if set_.annotations.get(name) != value
        }
        before = set_.spec.replicas
        if before == scale.replicas and not annotations:
            return
        await self._patch(set_, annotations, {"replicas": scale.replicas})
        if before != scale.replicas:
            way = "up" if scale.replicas > before else "down"
            self.io.event(
                self.deployment, "Normal", "ScalingReplicaSet",
                f"Scaled {way} replica set {set_.name} from {before} to {scale.replicas}",
            )  # fmt: skip

    async def finish(
        self, *, rolling_out: bool = True, clean_up: bool = False, collisions: int | None = None
    ) -> Result | None:
        """Report, remember the revision, and clean up when the rollout is complete."""
        io, deployment = self.io, self.deployment
        said = report(
            deployment, self.conditions, self.sets, self.new, io.clock.now(), collisions=collisions,
            rolling_out=rolling_out,
        )  # fmt: skip
        await io.update_status(deployment, said.status)
        new = self.new
        revision = new.annotations.get(history.REVISION) if new is not None else None
        if revision and deployment.annotations.get(history.REVISION) != revision and not deployment.deleting:
            patch = {"metadata": {"uid": deployment.uid, "annotations": {history.REVISION: revision}}}
            await io.patch(Deployment.resource, deployment.name, patch, namespace=deployment.namespace)
        if clean_up or (rolling_out and said.complete):
            for each in history.to_clean_up(deployment, self.old):
                await io.delete(each)
        return Result(said.look_again_seconds) if said.look_again_seconds is not None else None

    async def _patch(self, set_: ReplicaSet, annotations: dict[str, str], spec: Json) -> None:
        metadata: Json = {"resourceVersion": set_.metadata.resource_version}
        if annotations:
            metadata["annotations"] = annotations
        patch = {"metadata": metadata, "spec": spec}
        made = await self.io.patch(ReplicaSet.resource, set_.name, patch, namespace=set_.namespace)
        self._sets[set_.uid] = view_of(ReplicaSet, made)

    def _progressing(self, status: str, reason: str, message: str) -> None:
        self.conditions.set("Progressing", status, reason, message, self.io.clock.now())
