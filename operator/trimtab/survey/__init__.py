"""Analysis of a namespace or a cluster without custom resources: find the workloads, read them in bulk, assess each."""
