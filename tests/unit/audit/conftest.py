import pytest

from pilothouse.audit import AuditLog


@pytest.fixture
async def audit(state, settings):
    log = AuditLog(state, settings)
    yield log
    await log.close()
