"""The cookie in a real Chromium, on this machine's own http:// addresses."""

import pytest
from playwright.async_api import async_playwright

pytestmark = pytest.mark.browser

LOGIN = """async ([username, password]) => {
    const send = (path, body) => fetch(path, {
        method: 'POST', headers: {'Content-Type': 'application/json', 'X-Pilothouse': '1'}, body: JSON.stringify(body),
    })
    const login = await send('/api/v1/auth/login', {username, password})
    const refresh = await send('/api/v1/auth/refresh', {})
    return [login.status, refresh.status, document.cookie]
}"""


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_chromium_keeps_the_secure_cookie_here(house, host):
    """A login by a page lasts: the Secure cookie is sent back over http:// to this machine, and no script sees it."""
    name = (await house.user(roles=("viewer",)))["user"]["username"]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        try:
            page = await browser.new_page()
            await page.goto(f"http://{host}:{house.settings.port}/health")
            assert await page.evaluate(LOGIN, [name, "correct horse battery"]) == [200, 200, ""]
            (cookie,) = await page.context.cookies(f"http://{host}:{house.settings.port}/api/v1/auth/refresh")
            assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (True, True, "Strict")
            assert await page.context.cookies(f"http://{host}:{house.settings.port}/api/v1/logs") == []
        finally:
            await browser.close()
