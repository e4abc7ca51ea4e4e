"""Pilothouse: logs, metrics, containers, shells and alerts of Docker hosts behind one login."""

__version__ = "0.1.0"
