"""podroutes: plan, apply, heal and prove the pod network routes of a Kubernetes cluster."""

__version__ = "0.1.0"
