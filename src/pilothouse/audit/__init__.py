"""What was done: the hash-chained record and its verification."""

from pilothouse.audit.actions import Action, Outcome
from pilothouse.audit.entry import Entry
from pilothouse.audit.log import AuditLog, Checked
from pilothouse.audit.query import Filters, Page
from pilothouse.audit.verify import Status, VerifyReport

__all__ = ["Action", "AuditLog", "Checked", "Entry", "Filters", "Outcome", "Page", "Status", "VerifyReport"]
