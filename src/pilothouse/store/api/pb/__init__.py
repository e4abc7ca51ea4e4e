"""Generated from push.proto by `make proto`."""
