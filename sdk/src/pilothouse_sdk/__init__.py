"""Structured logging for applications."""
