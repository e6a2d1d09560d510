"""The loop of the daemon."""
