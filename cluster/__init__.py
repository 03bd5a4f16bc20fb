"""A real Kubernetes control plane with simulated nodes, and a Prometheus, on one machine without root.

`cluster.control_plane.ControlPlane` and `cluster.prometheus.Prometheus` serve tests and demonstrations from Python;
`python -m cluster` serves people. What runs is built from the Go modules under `cluster/go/`.
"""
