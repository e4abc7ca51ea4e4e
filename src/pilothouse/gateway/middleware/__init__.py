"""Pure ASGI layers, covering HTTP and WebSocket alike."""
