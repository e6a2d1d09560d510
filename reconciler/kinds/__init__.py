"""The shelf: what each resource is, as tables. What differs between resources is here; what is done to them is not."""
