"""Another controller, a GitOps tool, an autoscaler or an older policy on the same field means hands off."""
