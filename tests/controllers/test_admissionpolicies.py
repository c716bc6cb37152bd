"""Types of validating policies' expressions are checked, and what is wrong stands in the status."""

from typing import Any

import pytest
from tests.controllers.world import World, world

from kaa.kinds.admissionregistration.typechecking import resources_of
from kaa.kinds.views.admissionregistration import ValidatingAdmissionPolicy

Json = dict[str, Any]

RESOURCE = ValidatingAdmissionPolicy.resource


def policy(name: str, *expressions: str, resources: tuple[str, ...] = ("deployments",), group: str = "apps",
           **spec: Any) -> Json:  # fmt: skip
    rule = {"operations": ["*"], "apiGroups": [group], "apiVersions": ["v1"], "resources": list(resources)}
    return {"metadata": {"name": name}, "spec": {
        "matchConstraints": {"resourceRules": [rule]}, "validations": [{"expression": each} for each in expressions],
        **spec,
    }}  # fmt: skip


async def checked(at: World, made: Json) -> list[Json]:
    """The warnings, once the policy has been looked at."""
    created = await at.client.create(RESOURCE, made)

    async def seen() -> Json | None:
        found = await at.client.get_json(RESOURCE, created["metadata"]["name"])
        return found if found.get("status", {}).get("observedGeneration") == 1 else None

    status = (await at.until(seen))["status"]
    return list(status.get("typeChecking", {}).get("expressionWarnings", ()))


@pytest.mark.conformance("ValidatingAdmissionPolicy")
async def test_fields_that_are_not_there() -> None:
    async with world() as at:
        assert await checked(at, policy("good", "object.spec.replicas > 1")) == []
        (warning,) = await checked(at, policy("bad", "object.spec.replicas > 1", "object.spec.maxReplicas > 1"))
        assert warning["fieldRef"] == "spec.validations[1].expression"
        assert warning["warning"] == (
            "apps/v1, Kind=Deployment: ERROR: <input>:1:12: undefined field 'maxReplicas'\n"
            " | object.spec.maxReplicas > 1\n | ...........^\n"
        )
        (warning,) = await checked(at, policy("text", "object.spec.replicas > '1'"))
        assert "found no matching overload for '_>_' applied to '(int, string)'" in warning["warning"]
        two = policy("two", "object.spec.replicas > 1", resources=("deployments", "daemonsets"))
        (warning,) = await checked(at, two)
        assert warning["warning"].startswith("apps/v1, Kind=DaemonSet: ")
        through = policy("variables", "variables.n > 1", variables=[{"name": "n", "expression": "object.spec.none"}])
        assert "undefined field" not in str(await checked(at, through))  # the variable is told of when it is used


async def test_nothing_is_said_of_everything() -> None:
    async with world() as at:
        assert await checked(at, policy("any", "object.spec.none == 1", resources=("*",))) == []
        assert await checked(at, policy("unknown", "object.spec.none == 1", group="example.com")) == []


def test_which_resources_a_policy_names() -> None:
    spec = policy("p", "true", resources=("deployments", "deployments/scale", "*"))["spec"]
    assert list(resources_of(spec)) == [[("apps", "v1", "deployments")]]
    spec["matchConstraints"]["resourceRules"][0]["apiVersions"] = ["*"]
    assert list(resources_of(spec)) == []
