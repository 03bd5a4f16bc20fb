"""A Kubernetes control plane with simulated nodes, started and ended from Python.

Use it as a context manager:

    with ControlPlane(nodes=3, startup_seconds=1) as control_plane:
        subprocess.run(["kubectl", "--kubeconfig", control_plane.kubeconfig, "get", "nodes"])
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import yaml

from cluster import commands, identities, kwok, layout
from cluster.api import ApiClient
from cluster.build import ensure
from cluster.errors import StateError
from cluster.ports import HOST, is_listening, with_free_port
from cluster.processes import Component, spawn, stop_all, wait_until

_START_SECONDS = 120.0
_TOOLS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")


class ControlPlane:
    """etcd, API server, controller manager, scheduler and kwok, in one state folder.

    `state_dir` is made when missing; without one a temporary folder is used, and removed at the end. `users` adds
    users to the token file, each with its groups. With `die_with_parent` the processes end when this one does, however
    that comes about; without it they go on until `stop`, or until another process ends them. `on_spawn` is called with
    each process as soon as it runs.

    After `start`: `kubeconfig` (of a cluster administrator), `server`, `admin_token`, `ca_file` and `audit_log`, which
    has a JSON object a line for each write of workloads, their scale, and resources of trimtab.dev, and for every
    request of the users in `audited`.
    """

    def __init__(
        self,
        state_dir: Path | None = None,
        *,
        nodes: int = 3,
        startup_seconds: float = 3.0,
        users: Mapping[str, Sequence[str]] | None = None,
        audited: Sequence[str] = (),
        die_with_parent: bool = True,
        on_spawn: Callable[[Component], None] | None = None,
    ) -> None:
        self.state_dir, self._scratch = layout.state_folder(state_dir)
        self.components: list[Component] = []
        self.server = ""
        self._nodes = nodes
        self._startup_seconds = startup_seconds
        self._users: Mapping[str, Sequence[str]] = {**identities.USERS, **(users or {}), **identities.COMPONENT_USERS}
        self._tokens = identities.new_tokens(self._users)
        self._audited = tuple(audited)
        self._die_with_parent = die_with_parent
        self._on_spawn = on_spawn

    @classmethod
    def reach(cls, state_dir: Path) -> Self:
        """The control plane that another process started in `state_dir`: to be used here, and ended there."""
        reached = cls(state_dir)
        reached._tokens = identities.tokens_in((state_dir / "tokens.csv").read_text())
        reached._users = dict.fromkeys(reached._tokens, ())
        reached.server = identities.server_in(reached.kubeconfig)
        return reached

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig of the user `admin`."""
        return self.kubeconfig_for("admin")

    @property
    def admin_token(self) -> str:
        """The bearer token of the user `admin`."""
        return self._tokens["admin"]

    @property
    def ca_file(self) -> Path:
        """What to verify the API server's certificate with."""
        return self._pki_dir / "ca.crt"

    @property
    def audit_log(self) -> Path:
        """The API server's audit log."""
        return layout.audit_log(self.state_dir)

    def kubeconfig_for(self, user: str) -> Path:
        """The kubeconfig of a user: `admin`, `operator`, `alice`, `bob`, or one that was given as `users`."""
        if user not in self._users:
            raise KeyError(f"no user {user!r}; known are {', '.join(self._users)}; add it to ControlPlane(users=...)")
        return layout.kubeconfig(self.state_dir, user)

    def service_account_kubeconfig(self, namespace: str, name: str, seconds: int = 3600) -> Path:
        """A kubeconfig of an existing service account, with a new token that is good for `seconds` (600 at least)."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": seconds},
        }
        token = self.client().post(path, request)["status"]["token"]
        target = layout.kubeconfig(self.state_dir, f"{namespace}.{name}")
        return identities.write_kubeconfig(target, self.server, self.ca_file, name, token)

    def component(self, name: str) -> Component:
        """The process of that name, such as `kube-apiserver`, to suspend and resume or to send a signal.

        Raises StateError when none of that name was started by this object.
        """
        for component in self.components:
            if component.name == name:
                return component
        raise StateError(f"no component {name!r} was started here; there are {[c.name for c in self.components]}")

    def client(self) -> ApiClient:
        """A small client with the administrator's rights."""
        return ApiClient(self.server, self.admin_token, self.ca_file)

    def start(self) -> None:
        """Starts everything, and returns when pods can be placed on the nodes.

        Tools that are missing are built first. When a component ends meanwhile, all are ended and ComponentDiedError
        is raised with the last lines of its log.
        """
        binaries = ensure(_TOOLS)
        try:
            self._write_files()
            etcd_port = with_free_port(lambda port: self._start_etcd(binaries["etcd"], port))
            with_free_port(lambda port: self._start_api_server(binaries["kube-apiserver"], etcd_port, port))
            self._write_kubeconfigs()
            self._start_clients(binaries)
            self._make_objects()
            wait_until(self.components, self._is_usable, _START_SECONDS)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends every process; a temporary state folder is removed."""
        stop_all(self.components)
        self.components.clear()
        if self._scratch is not None:
            self._scratch.cleanup()

    @property
    def _pki_dir(self) -> Path:
        return self.state_dir / "pki"

    def _write_files(self) -> None:
        self.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        identities.write_private(self.state_dir / "tokens.csv", identities.token_file(self._users, self._tokens))
        (self.state_dir / "audit-policy.yaml").write_text(yaml.safe_dump(commands.audit_policy(self._audited)))
        (self.state_dir / "kwok.yaml").write_text(kwok.configuration(self._startup_seconds))

    def _write_kubeconfigs(self) -> None:
        for user, token in self._tokens.items():
            identities.write_kubeconfig(self.kubeconfig_for(user), self.server, self.ca_file, user, token)

    def _spawn(self, name: str, command: list[str]) -> Component:
        """Starts a component, in the place of an earlier try of the same name."""
        log = layout.component_log(self.state_dir, name)
        component = spawn(name, command, log, die_with_parent=self._die_with_parent)
        self.components = [other for other in self.components if other.name != name] + [component]
        if self._on_spawn is not None:
            self._on_spawn(component)
        return component

    def _start_etcd(self, binary: Path, port: int) -> int:
        etcd = self._spawn("etcd", commands.etcd(binary, self.state_dir / "etcd", port))
        wait_until([etcd], lambda: is_listening(etcd.pid, port), _START_SECONDS)
        return port

    def _start_api_server(self, binary: Path, etcd_port: int, port: int) -> None:
        self.server = f"https://{HOST}:{port}"
        command = commands.api_server(
            binary,
            etcd_port=etcd_port,
            port=port,
            pki_dir=self._pki_dir,
            token_file=self.state_dir / "tokens.csv",
            audit_policy=self.state_dir / "audit-policy.yaml",
            audit_log=self.audit_log,
        )
        api_server = self._spawn("kube-apiserver", command)
        wait_until([api_server], self._api_server_answers, _START_SECONDS)

    def _api_server_answers(self) -> bool:
        """Whether it does; its own certificate comes with that of the authority, which is kept by itself."""
        try:
            self.ca_file.write_text(identities.last_certificate((self._pki_dir / "apiserver.crt").read_text()))
            return self.client().is_ready()
        except OSError:
            return False

    def _start_clients(self, binaries: Mapping[str, Path]) -> None:
        """Starts what only speaks to the API server."""
        name = "kube-controller-manager"
        kubeconfig = self.kubeconfig_for(f"system:{name}")
        self._spawn(name, commands.controller_manager(binaries[name], kubeconfig=kubeconfig, pki_dir=self._pki_dir))
        name = "kube-scheduler"
        self._spawn(name, commands.scheduler(binaries[name], kubeconfig=self.kubeconfig_for(f"system:{name}")))
        name = "kwok"
        configuration = self.state_dir / "kwok.yaml"
        self._spawn(
            name, commands.simulator(binaries[name], kubeconfig=self.kubeconfig_for(name), configuration=configuration)
        )

    def _make_objects(self) -> None:
        client = self.client()
        client.create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", identities.PEOPLE_BINDING)
        for index in range(self._nodes):
            client.create("/api/v1/nodes", kwok.node(index))

    def _is_usable(self) -> bool:
        """Whether every node takes pods and the default namespace has its service account."""
        client = self.client()
        nodes = client.get("/api/v1/nodes")["items"]
        accounts = client.get("/api/v1/namespaces/default/serviceaccounts")["items"]
        return bool(accounts) and all(kwok.is_usable(node) for node in nodes)
