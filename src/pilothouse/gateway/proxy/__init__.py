"""Forwarding to backends that have their own API."""
