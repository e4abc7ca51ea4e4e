"""Over the API, nobody rises above what they hold, and somebody can always administer."""

import pytest

PASSWORD = "correct horse battery"
OTHER = "another password"


@pytest.fixture
async def manager(house):
    """Somebody who manages users, and may read the shop's logs."""
    return await house.user(permissions=("users:write", 'logs:read{project="shop"}', "dashboards:read"))


async def test_a_manager_makes_users_within_their_own_rights(house, manager):
    """Up to them, not beyond; by roles, by grants, or by a role made for it."""
    token = manager["access_token"]

    async def make(name, **body):
        answer = await house.call(
            "POST", "/api/v1/users", token=token, json={"username": name, "password": PASSWORD, **body}
        )
        return answer.status

    name = manager["user"]["username"]
    assert await make(f"{name}.a", roles=["viewer"], permissions=['logs:read{project="shop",host="a"}']) == 201
    for body in (
        {"roles": ["admin"]}, {"roles": ["developer"]}, {"permissions": ["*"]}, {"permissions": ["logs:read"]},
        {"permissions": ['logs:read{project=~"shop|bank"}']}, {"permissions": ["audit:read"]},
    ):  # fmt: skip
        assert await make(f"{name}.b", **body) == 403
    role = {"name": "riser", "permissions": ["audit:read"]}
    assert (await house.call("POST", "/api/v1/roles", token=token, json=role)).status == 403


async def test_a_manager_does_not_rise(house, manager):
    """By their own account, by a role they have, or by an administrator's password."""
    token, own = manager["access_token"], f"/api/v1/users/{manager['user']['id']}"
    assert (await house.call("PATCH", own, token=token, json={"roles": ["admin"]})).status == 403
    assert (await house.call("PATCH", own, token=token, json={"permissions": ["*"]})).status == 403
    assert (await house.call("PATCH", own, token=token, json={"password": OTHER})).status == 400
    users = (await house.call("GET", "/api/v1/users", token=token)).body["users"]
    (root,) = [user for user in users if user["username"] == "root"]
    for body in ({"password": OTHER}, {"disabled": True}, {"roles": []}):
        answer = await house.call("PATCH", f"/api/v1/users/{root['id']}", token=token, json=body)
        assert (answer.status, answer.code) == (403, "BEYOND_YOUR_PERMISSIONS")
    assert (await house.call("DELETE", f"/api/v1/users/{root['id']}", token=token)).status == 403


async def test_a_key_does_not_rise(house):
    """Above its owner when made, nor after; nor by making keys, passwords or sessions its own."""
    owner = await house.user(roles=("developer",), permissions=("users:write",))
    token = owner["access_token"]

    async def make(**body):
        return await house.call("POST", "/api/v1/auth/api-keys", token=token, json={"name": "k", **body})

    for permissions in (["*"], ["audit:read"], ["logs:*"], []):
        assert (await make(permissions=permissions)).status in {400, 403}
    made = await make(permissions=["users:write", "logs:read"])
    assert made.status == 201
    assert set(made.body) == {"id", "key", "name", "permissions", "created_at", "expires_at", "last_used_at"}
    key = made.body["key"]
    assert (await house.call("GET", "/api/v1/auth/me", token=key)).body["permissions"] == ["logs:read", "users:write"]
    for method, path, body in (
        ("POST", "/api/v1/auth/api-keys", {"name": "k2"}),
        ("POST", "/api/v1/auth/password", {"current_password": PASSWORD, "new_password": OTHER}),
        ("GET", "/api/v1/auth/sessions", None),
        ("PATCH", f"/api/v1/users/{owner['user']['id']}", {"password": OTHER}),
        ("POST", "/api/v1/users", {"username": "risen", "password": PASSWORD, "roles": ["developer"]}),
    ):
        assert (await house.call(method, path, token=key, json=body)).status in {400, 403}, path
    change = {"roles": ["viewer"], "permissions": []}
    await house.call("PATCH", f"/api/v1/users/{owner['user']['id']}", token=house.admin, json=change)
    assert (await house.call("GET", "/api/v1/auth/me", token=key)).body["permissions"] == []
    assert (await house.call("GET", "/api/v1/users", token=key)).status == 403


async def test_the_last_administrator_stays(house, house_state):
    """Whatever is tried with it, by itself."""
    users = (await house.call("GET", "/api/v1/users", token=house.admin)).body["users"]
    (root,) = [user for user in users if user["username"] == "root"]
    for user in users:
        if user["id"] != root["id"] and "admin" in user["roles"]:
            await house.call(
                "PATCH", f"/api/v1/users/{user['id']}", token=house.admin, json={"roles": ["admin"], "disabled": True}
            )
    path = f"/api/v1/users/{root['id']}"
    for body in ({"roles": []}, {"roles": ["developer"]}, {"disabled": True}):
        answer = await house.call("PATCH", path, token=house.admin, json=body)
        assert (answer.status, answer.code) == (409, "LAST_ADMINISTRATOR")
    assert (await house.call("DELETE", path, token=house.admin)).code == "LAST_ADMINISTRATOR"
    for user in users:
        if user["id"] != root["id"] and "admin" in user["roles"]:
            await house.call("PATCH", f"/api/v1/users/{user['id']}", token=house.admin, json={"disabled": False})


async def test_what_a_user_may_is_told_by_the_function_that_decides(house):
    """For each permission: at all, and where."""
    user = await house.user(roles=("viewer",), permissions=('logs:read{project="shop"}', "metrics:*"))
    answer = await house.call("GET", f"/api/v1/users/{user['user']['id']}/access", token=house.admin)
    told = {one["permission"]: one for one in answer.body["permissions"]}
    assert (told["logs:read"]["allowed"], told["logs:read"]["scopes"]) == (True, ['{project="shop"}'])
    assert not told["logs:read"]["everything"]
    assert told["metrics:write"]["everything"]
    assert {name for name, one in told.items() if one["allowed"]} == {
        "dashboards:read", "logs:read", "metrics:read", "metrics:write",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/v1/users", {"username": "x", "password": PASSWORD, "is_admin": True}),
        ("POST", "/api/v1/users", {"username": "x", "password": PASSWORD, "id": "u_1", "roles": ["viewer"]}),
        ("POST", "/api/v1/users", {"username": "x", "password": [PASSWORD]}),
        ("POST", "/api/v1/users", {"username": {"$ne": ""}, "password": PASSWORD}),
        ("POST", "/api/v1/users", ["x"]),
        ("POST", "/api/v1/roles", {"name": "x", "permissions": "logs:read"}),
        ("POST", "/api/v1/roles", {"name": "x", "permissions": ["logs:read"] * 101}),
        ("POST", "/api/v1/auth/api-keys", {"name": "x", "expires_at": "2099-01-01T00:00:00"}),
        ("POST", "/api/v1/auth/api-keys", {"name": "x", "expires_at": "9999999-01-01T00:00:00Z"}),
        ("POST", "/api/v1/auth/login", {"username": "root", "password": None}),
    ],
)
async def test_bodies_that_are_not_as_declared_are_refused(house, method, path, body):
    """400 in the envelope, with the field; nothing is ignored in silence, and no value comes back."""
    answer = await house.call(method, path, token=house.admin, json=body)
    assert (answer.status, answer.code) == (400, "INVALID_REQUEST")
    assert PASSWORD not in str(answer.body)
