"""Being taken for another: who may, as whom, and what becomes of groups."""

import pytest
from tests.server.test_authentication import who
from tests.server.test_authorization import GROUP, JANE, bind, rule
from tests.server.world import CM, Api, World, obj

from kaa.http.inprocess import InProcess

AUTHENTICATION = "authentication.k8s.io"


def acting(api: Api, world: World, **headers: str) -> Api:
    """The same user, asking to be taken for another: `user="jane", extra_scopes="a"`."""
    fields = tuple((f"Impersonate-{name.replace('_', '-').title()}", value) for name, value in headers.items())
    transport = InProcess(world.server.app, api.transport._peer, headers=lambda: fields)
    world.opened.append(transport)
    return Api(transport)


async def test_an_administrator_is_whoever_they_say(world: World) -> None:
    user = await who(acting(world.admin, world, user="jane"))
    assert user == {"username": "jane", "groups": ["system:authenticated"]}
    user = await who(acting(world.admin, world, user="jane", group="dev, ops", uid="u1", extra_scopes="view, edit"))
    assert user == {
        "username": "jane", "uid": "u1", "groups": ["dev", "ops", "system:authenticated"],
        "extra": {"scopes": ["view", "edit"]},
    }  # fmt: skip
    user = await who(acting(world.admin, world, user="jane", **{"extra_Example.org%2fScopes": "x"}))
    assert user["extra"] == {"example.org/scopes": ["x"]}
    refused = await acting(world.admin, world, user="jane").get(CM)
    assert (refused.code, refused.message) == (
        403, 'configmaps is forbidden: User "jane" cannot list resource "configmaps" in API group "" in the namespace '
        '"default"')  # fmt: skip


@pytest.mark.parametrize(
    ("user", "group", "expected"),
    [
        ("system:serviceaccount:ns:robot", "",
         ["system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated"]),
        ("system:serviceaccount:ns:robot", "dev", ["dev", "system:authenticated"]),
        ("system:anonymous", "", ["system:unauthenticated"]),
        ("system:anonymous", "dev", ["dev", "system:unauthenticated"]),
        ("jane", "system:authenticated", ["system:authenticated"]),
        ("jane", "system:unauthenticated", ["system:unauthenticated"]),
    ],
)  # fmt: skip
async def test_groups(world: World, user: str, group: str, expected: list[str]) -> None:
    # Anonymous users may not ask who they are, so what is said of them is read off the refusal's user alone.
    await bind(world.admin, "ask", [rule("create", "selfsubjectreviews", AUTHENTICATION)],
               {"kind": "Group", "apiGroup": GROUP, "name": "system:unauthenticated"})  # fmt: skip
    headers = {"user": user, **({"group": group} if group else {})}
    assert (await who(acting(world.admin, world, **headers)))["groups"] == expected


SENSELESS = [
    ({"group": "dev"}, "{Group  dev    }"),
    ({"uid": "u1"}, "{UID  u1  authentication.k8s.io/v1  }"),
    ({"extra_scopes": "x"}, "{UserExtra  x  authentication.k8s.io/v1  scopes}"),
]


@pytest.mark.parametrize(("headers", "shown"), SENSELESS)
async def test_without_a_user_it_makes_no_sense(world: World, headers: dict, shown: str) -> None:
    answer = await acting(world.admin, world, **headers).get(CM)
    assert answer.code == 500
    assert answer.message == f'Internal Server Error: "{CM}": requested [{shown}] without impersonating a user'


GRANTS = [
    # what is granted; the headers; the part that is refused, or ""
    ([], {"user": "jane"}, 'users "jane" is forbidden: User "joe" cannot impersonate resource "users" in API group "" '
     "at the cluster scope"),
    ([rule("impersonate", "users", names="jane")], {"user": "jane"}, ""),
    ([rule("impersonate", "users", names="jane")], {"user": "jack"}, 'users "jack" is forbidden'),
    ([rule("impersonate", "users")], {"user": "jane", "group": "dev"},
     'groups "dev" is forbidden: User "joe" cannot impersonate resource "groups" in API group "" at the cluster scope'),
    ([rule("impersonate", "users groups", names="jane dev")], {"user": "jane", "group": "dev, system:masters"},
     'groups "system:masters" is forbidden'),
    ([rule("impersonate", "users groups")], {"user": "jane", "group": "dev"}, ""),
    ([rule("impersonate", "users")], {"user": "jane", "uid": "u1"},
     'uids.authentication.k8s.io "u1" is forbidden: User "joe" cannot impersonate resource "uids" in API group '
     '"authentication.k8s.io" at the cluster scope'),
    ([rule("impersonate", "users"), rule("impersonate", "uids", AUTHENTICATION)], {"user": "jane", "uid": "u1"}, ""),
    ([rule("impersonate", "users")], {"user": "jane", "extra_scopes": "view"},
     'userextras.authentication.k8s.io "view" is forbidden: User "joe" cannot impersonate resource "userextras/scopes" '
     'in API group "authentication.k8s.io" at the cluster scope'),
    ([rule("impersonate", "users"), rule("impersonate", "userextras/scopes", AUTHENTICATION, names="view")],
     {"user": "jane", "extra_scopes": "view"}, ""),
    ([rule("impersonate", "users"), rule("impersonate", "userextras/scopes", AUTHENTICATION, names="view")],
     {"user": "jane", "extra_scopes": "view, admin"}, 'userextras.authentication.k8s.io "admin" is forbidden'),
    ([rule("impersonate", "users")], {"user": "system:serviceaccount:default:robot"},
     'serviceaccounts "robot" is forbidden: User "joe" cannot impersonate resource "serviceaccounts" in API group "" '
     'in the namespace "default"'),
]  # fmt: skip


@pytest.mark.parametrize(("rules", "headers", "refusal"), GRANTS)
async def test_each_part_is_granted_for_itself(world: World, rules: list, headers: dict, refusal: str) -> None:
    await bind(world.admin, "impersonators", rules, {**JANE, "name": "joe"})
    answer = await acting(world.as_user("joe"), world, **headers).post(
        "/apis/authentication.k8s.io/v1/selfsubjectreviews", obj("SelfSubjectReview", "", "authentication.k8s.io/v1")
    )
    if refusal:
        assert (answer.code, answer.reason) == (403, "Forbidden") and answer.message.startswith(refusal), answer.message
    else:
        assert answer.ok(201)["status"]["userInfo"]["username"] == "jane"


async def test_accounts_of_a_namespace_by_a_role_there(world: World) -> None:
    await bind(
        world.admin, "impersonators", [rule("impersonate", "serviceaccounts")], {**JANE, "name": "joe"}, "default"
    )
    joe = world.as_user("joe")
    user = await who(acting(joe, world, user="system:serviceaccount:default:robot"))
    assert user["username"] == "system:serviceaccount:default:robot"
    assert (await acting(joe, world, user="system:serviceaccount:kube-system:robot").get("/version")).code == 403


async def test_nobody_passes_rights_on(world: World) -> None:
    """Who is taken for another has the rights of that other, and no more: not even to be taken for a third."""
    jane = acting(world.admin, world, user="jane")
    assert (await jane.get("/api/v1/nodes")).code == 403
    assert (await acting(world.as_user("jane"), world, user="admin", group="system:masters").get(CM)).code == 403
    assert (await acting(world.nobody(), world, user="admin").get("/version")).code == 403
    # A header without meaning changes nothing.
    assert (await acting(world.admin, world, user="").get(CM)).code == 200
