"""The shelf: what each resource is, as tables. Everything that differs between resources is here; what is done to them is not."""
