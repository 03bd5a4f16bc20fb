"""What is built and how.

The versions are those that `cluster/go/<group>/go.mod` requires, and are stated nowhere else.
"""

from __future__ import annotations

import hashlib
import platform
import re
from dataclasses import dataclass
from pathlib import Path

_GO_MODULES = Path(__file__).parent / "go"


@dataclass(frozen=True)
class Group:
    """Tools that are built from one Go module, with one set of flags.

    `packages` maps a tool's name to its Go package; `version_flags` are linker variables, with `{version}`, `{major}`,
    `{minor}` and `{patch}` filled in from the version of `module` in go.mod.
    """

    name: str
    module: str
    packages: dict[str, str]
    tags: tuple[str, ...] = ()
    version_flags: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """The folder with the group's go.mod and go.sum."""
        return _GO_MODULES / self.name

    @property
    def version(self) -> str:
        """The pinned version, as Go writes it: `v1.37.2`."""
        go_mod = (self.folder / "go.mod").read_text()
        found = re.search(rf"^\s*{re.escape(self.module)} (v\S+)", go_mod, re.MULTILINE)
        if found is None:
            raise ValueError(f"{self.folder / 'go.mod'} does not require {self.module}")
        return found[1]

    @property
    def build_flags(self) -> list[str]:
        """The flags of `go build`, without the output and the package."""
        major, minor, patch = self.version.removeprefix("v").split(".")
        variables = [
            f"-X {flag.format(version=self.version, major=major, minor=minor, patch=patch)}"
            for flag in self.version_flags
        ]
        flags = ["-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags", " ".join(["-s -w", *variables])]
        return [*flags, "-tags", ",".join(self.tags)] if self.tags else flags

    @property
    def key(self) -> str:
        """A short hash that changes whenever the built binaries might."""
        digest = hashlib.sha256()
        for name in ("go.mod", "go.sum"):
            digest.update((self.folder / name).read_bytes())
        digest.update(repr((self.packages, self.build_flags, platform.machine())).encode())
        return digest.hexdigest()[:12]


_KUBERNETES_VERSION = "k8s.io/component-base/version"

GROUPS = (
    Group("etcd", "go.etcd.io/etcd/server/v3", {"etcd": "go.etcd.io/etcd/server/v3"}),
    Group(
        "kubernetes",
        "k8s.io/kubernetes",
        {
            name: f"k8s.io/kubernetes/cmd/{name}"
            for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
        },
        version_flags=(
            f"{_KUBERNETES_VERSION}.gitVersion={{version}}",
            f"{_KUBERNETES_VERSION}.gitMajor={{major}}",
            f"{_KUBERNETES_VERSION}.gitMinor={{minor}}",
            "k8s.io/client-go/pkg/version.gitVersion={version}",
        ),
    ),
    Group("kwok", "sigs.k8s.io/kwok", {"kwok": "sigs.k8s.io/kwok/cmd/kwok"}),
    Group(
        "prometheus",
        "github.com/prometheus/prometheus",
        {name: f"github.com/prometheus/prometheus/cmd/{name}" for name in ("prometheus", "promtool")},
        # File discovery is always compiled in; of the others, Kubernetes' own is the one of use here.
        tags=("remove_all_sd", "enable_kubernetes_sd"),
    ),
    Group(
        "helm",
        "helm.sh/helm/v4",
        {"helm": "helm.sh/helm/v4/cmd/helm"},
        version_flags=("helm.sh/helm/v4/internal/version.version={version}",),
    ),
)

ALL_TOOLS = tuple(tool for group in GROUPS for tool in group.packages)


def group_of(tool: str) -> Group:
    """The group that builds `tool`; raises KeyError for a tool that none does."""
    for group in GROUPS:
        if tool in group.packages:
            return group
    raise KeyError(f"no recipe builds {tool!r}; known are {', '.join(ALL_TOOLS)}")


def kubernetes_minor() -> int:
    """The minor version of the API server, for kubectl's rule of one minor version apart."""
    return int(group_of("kube-apiserver").version.split(".")[1])
