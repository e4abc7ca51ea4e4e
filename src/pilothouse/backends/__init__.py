"""Clients of what stands behind the gateway."""
