"""Starts the processes, restarts what dies, drains them on SIGTERM."""
