"""What the process stands on: the clock, triggers, the lease, sinks, the log. Decides nothing."""
