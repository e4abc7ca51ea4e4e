"""Queries over the logs: plan, scan, pipeline, then lines or numbers."""
