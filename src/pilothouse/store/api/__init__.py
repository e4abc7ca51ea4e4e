"""The store's HTTP faces: Loki's API and OTLP."""
