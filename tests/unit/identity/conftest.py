import pytest

from pilothouse.identity import Client, Identity

BROWSER = Client(address="192.0.2.7", user_agent="Firefox")
PASSWORD = "correct horse battery"


@pytest.fixture
async def identity(state, settings):
    one = Identity(state, settings)
    yield one
    one.close()


@pytest.fixture
async def admin(identity):
    """The first administrator, signed in: the principal."""
    token = (await identity.setup_link()).partition("=")[2]
    await identity.setup.finish(token, username="root", password=PASSWORD)
    return (await identity.login("root", PASSWORD, BROWSER)).principal


@pytest.fixture
def sign_in(identity, admin):
    """Makes a user with roles or grants and signs it in: the Login."""

    async def make(username, *roles, grants=()):
        await identity.accounts.create(admin, username=username, password=PASSWORD, roles=roles, grants=grants)
        return await identity.login(username, PASSWORD, BROWSER)

    return make
