"""A person's newer value stands, during a run and while replicas follow."""
