"""The manifests and the chart: valid for every version they claim, with the rights they need and no others."""

import http.client
import json
from types import SimpleNamespace

import jsonschema
import kubernetes_validate
import pytest
import yaml

from deploy.manifests import CHART, NAMESPACE, REMOVAL, agent, chart, helm, one, plain, pod, variables
from podroutes import __version__
from podroutes.agent import saved_nodes
from podroutes.agent.endpoint import Endpoint
from podroutes.cli.parser import build_parser
from podroutes.model.status import SourceStatus
from podroutes.persist import deletions, saved_routes
from podroutes.plan.guard import EVERYTHING as ALL

# Every minor version from the one that Chart.yaml begins with to the newest that there are schemas of.
VERSIONS = [f"1.{minor}" for minor in range(25, int(kubernetes_validate.latest_version().split(".")[1]) + 1)]
EVERYTHING = (
    "agent.events=true",
    "agent.setCondition=true",
    "agent.adopt=true",
    "agent.allowMassDelete=true",
    "cni.enabled=true",
    "masquerade.enabled=true",
    "apiServer.host=192.168.8.10",
    "image.pullSecrets={ours}",
    "podAnnotations.a=b",
)
SOURCES = {
    "plain": plain,
    "removal": lambda: plain(REMOVAL),
    "chart": chart,
    "chart-with-everything": lambda: chart(*EVERYTHING),
}
READING = {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]}
POWERS = {
    "runAsUser": 0,
    "runAsGroup": 0,
    "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]},
    "privileged": False,
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
}


@pytest.fixture(params=SOURCES)
def documents(request):
    return SOURCES[request.param]()


@pytest.fixture(params=[name for name in SOURCES if name != "removal"])
def deployed(request):
    return SOURCES[request.param]()


def test_every_version_takes_them(documents):
    for version in VERSIONS:
        for document in documents:
            kubernetes_validate.validate(document, version, strict=True)


def test_a_misspelt_field_would_be_found():
    daemons = one(plain(), "DaemonSet")
    pod([daemons])["hostNetwrok"] = True
    with pytest.raises(kubernetes_validate.ValidationError, match="hostNetwrok"):
        kubernetes_validate.validate(daemons, VERSIONS[-1], strict=True)


def test_the_versions_begin_where_the_chart_does():
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"] == f">={VERSIONS[0]}.0-0"


def test_the_right_to_read_nodes_and_no_other():
    for documents in (plain(), chart()):
        assert one(documents, "ClusterRole")["rules"] == [READING]
        assert {each["kind"] for each in documents} - {"Namespace"} == {
            "ServiceAccount",
            "ClusterRole",
            "ClusterRoleBinding",
            "DaemonSet",
        }


@pytest.mark.parametrize(
    ("settings", "role", "rules"),
    [
        (
            ["agent.setCondition=true"],
            "ClusterRole",
            [READING, {"apiGroups": [""], "resources": ["nodes/status"], "verbs": ["patch"]}],
        ),
        (["agent.events=true"], "Role", [{"apiGroups": [""], "resources": ["events"], "verbs": ["create"]}]),
    ],
)
def test_what_is_asked_for_adds_its_right(settings, role, rules):
    found = one(chart(*settings), role)
    assert found["rules"] == rules
    assert found["metadata"].get("namespace") == ("default" if role == "Role" else None)


def test_every_right_is_bound_to_the_account_that_the_pods_run_as(deployed):
    account = {"kind": "ServiceAccount", "name": pod(deployed)["serviceAccountName"], "namespace": NAMESPACE}
    there = {(each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]) for each in deployed}
    assert ("ServiceAccount", NAMESPACE, account["name"]) in there
    for binding in (each for each in deployed if each["kind"].endswith("Binding")):
        role = binding["roleRef"]
        assert (role["kind"], binding["metadata"].get("namespace"), role["name"]) in there
        assert binding["subjects"] == [account]


def test_one_capability_and_nothing_to_write_on(deployed):
    spec, container = pod(deployed), agent(deployed)
    assert container["securityContext"] == POWERS
    assert spec["securityContext"] == {"seccompProfile": {"type": "RuntimeDefault"}}
    assert spec["hostNetwork"] is True
    assert not {"hostPID", "hostIPC"} & set(spec)
    (volume, *others), (mount, *other_mounts) = spec["volumes"], container["volumeMounts"]
    assert volume["hostPath"] == {"path": "/var/lib/podroutes", "type": "DirectoryOrCreate"}
    assert mount == {"name": volume["name"], "mountPath": "/var/lib/podroutes"}
    places = {each["name"]: each["mountPath"] for each in other_mounts}
    assert {each["name"]: each["hostPath"]["path"] for each in others} == places
    asked = "--cni" in container["args"]
    assert set(places.values()) == ({"/etc/cni/net.d", "/var/lib/cni", "/opt/cni/bin"} if asked else set())


def test_it_runs_on_every_node_of_linux_before_what_waits_for_routes(deployed):
    spec = pod(deployed)
    assert spec["tolerations"] == [{"operator": "Exists"}]
    assert spec["priorityClassName"] == "system-node-critical"
    assert spec["nodeSelector"] == {"kubernetes.io/os": "linux"}
    assert spec["dnsPolicy"] == "Default"


def test_our_command_line_takes_what_the_container_says(deployed, monkeypatch):
    monkeypatch.delenv("PODROUTES_STATE_DIR")  # a test's own
    container = agent(deployed)
    given = variables(container)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("NODE_NAME", "worker-0")
    (node,) = (each for each in container["env"] if "valueFrom" in each)
    assert node == {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}
    asked = vars(build_parser().parse_args(container["args"]))
    ours = {name.removeprefix("PODROUTES_").lower(): value for name, value in given.items() if "PODROUTES" in name}
    assert {name: {True: "1"}.get(asked[name], asked[name]) for name in ours} == ours
    assert (asked["kubernetes"], asked["node"]) == (True, "worker-0")
    assert asked["state_dir"] == container["volumeMounts"][0]["mountPath"]


def test_everything_asked_for_reaches_the_command_line(monkeypatch):
    container = agent(chart(*EVERYTHING, "agent.resync=60"))
    asked = build_parser().parse_args(container["args"])
    assert (asked.events, asked.set_condition, asked.adopt, asked.resync) == (*[True] * 3, 60)
    assert asked.allow_mass_delete == ALL
    some = agent(chart("agent.allowMassDelete=7"))
    assert build_parser().parse_args(some["args"]).allow_mass_delete == 7
    assert variables(container)["KUBERNETES_SERVICE_HOST"] == "192.168.8.10"
    assert variables(container)["KUBERNETES_SERVICE_PORT"] == "6443"


def test_limits_reach_the_command_line(monkeypatch):
    limits = (
        "limits.podCIDRs={10.200.0.0/16,fd00::/8}",
        "limits.nodeCIDRs={192.168.8.0/24}",
        "limits.serviceCIDRs={10.32.0.0/24}",
    )
    for name, value in variables(agent(chart(*limits))).items():
        monkeypatch.setenv(name, value)
    asked = build_parser().parse_args(["agent"])
    found = [list(map(str, each)) for each in (asked.pod_cidr, asked.node_cidr, asked.service_cidr)]
    assert found == [["10.200.0.0/16", "fd00::/8"], ["192.168.8.0/24"], ["10.32.0.0/24"]]
    alone = build_parser().parse_args(["agent", "--pod-cidr", "10.0.0.0/8", "--pod-cidr", "fd00::/8"])
    assert list(map(str, alone.pod_cidr)) == ["10.0.0.0/8", "fd00::/8"], (
        "the command line counts before the environment"
    )


@pytest.mark.parametrize(
    ("address", "listen", "asked"),
    [
        ("127.0.0.1", "127.0.0.1:9107", "127.0.0.1"),
        ("0.0.0.0", "0.0.0.0:9107", "127.0.0.1"),  # noqa: S104, an address of the chart's
        ("::", "[::]:9107", "::1"),
        ("192.168.8.20", "192.168.8.20:9107", "192.168.8.20"),
    ],
)
def test_probes_ask_where_the_agent_listens(address, listen, asked):
    container = agent(chart(f"listen.address={address}"))
    assert variables(container)["PODROUTES_LISTEN"] == listen
    for probe in (container["livenessProbe"], container["readinessProbe"]):
        assert (probe["httpGet"]["host"], probe["httpGet"]["port"]) == (asked, 9107)


def test_the_agent_answers_what_the_probes_ask(deployed):
    container = agent(deployed)
    trouble: dict[str, str | None] = {"livenessProbe": None, "readinessProbe": None}
    server = Endpoint(
        variables(container)["PODROUTES_LISTEN"],
        lambda: SimpleNamespace(not_ready_reason=trouble["readinessProbe"], source=SourceStatus("")),  # type: ignore[arg-type, return-value]
        lambda: trouble["livenessProbe"],
        lambda *_, **__: None,
    )
    server.start()
    try:
        for name in trouble:
            get = container[name]["httpGet"]
            assert answer(**get) == 200
            trouble[name] = "stuck"
            assert answer(**get) == 503
    finally:
        server.close()


def answer(host: str, port: int, path: str) -> int:
    client = http.client.HTTPConnection(host, port, timeout=30)
    try:
        client.request("GET", path)
        return client.getresponse().status
    finally:
        client.close()


def test_the_chart_as_it_comes_is_the_plain_manifests():
    def bare(document):
        """Return DOCUMENT without what Helm labels its own with."""
        if isinstance(document, dict):
            helms = ("app.kubernetes.io/instance", "app.kubernetes.io/version", "app.kubernetes.io/managed-by")
            return {k: bare(v) for k, v in document.items() if k not in (*helms, "helm.sh/chart")}
        return [bare(each) for each in document] if isinstance(document, list) else document

    wanted = {each["kind"]: each for each in plain() if each["kind"] != "Namespace"}
    assert {each["kind"]: each for each in map(bare, chart())} == wanted


def test_one_version_everywhere():
    about = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (about["version"], about["appVersion"]) == (__version__, __version__)
    containers = [agent(plain()), *pod(plain(REMOVAL))["initContainers"], agent(plain(REMOVAL))]
    assert {each["image"] for each in containers} == {f"localhost/podroutes:{__version__}"}


def test_the_removal_has_the_agents_powers_for_the_routes_and_none_for_the_rest():
    first, second = pod(plain(REMOVAL))["initContainers"]
    assert first["securityContext"] == POWERS
    assert build_parser().parse_args(first["args"]).dry_run is False
    for container in (second, agent(plain(REMOVAL))):
        assert container["securityContext"] == {**POWERS, "capabilities": {"drop": ["ALL"]}}
    directory = agent(plain())["volumeMounts"][0]["mountPath"]
    assert second["command"][2:] == [
        f"{directory}/{name}" for name in (saved_nodes.NAME, saved_routes.NAME, deletions.NAME)
    ]
    assert pod(plain(REMOVAL))["volumes"] == pod(plain())["volumes"]
    assert pod(plain(REMOVAL))["hostNetwork"] is True


def test_helm_finds_nothing_to_complain_of():
    done = helm("lint", "--strict", CHART)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("agent.resink=1", "resink"),
        ("agent.resync=0", "resync"),
        ("listen.port=70000", "listen/port"),
        ("apiServer.host=https://192.168.8.10", "apiServer/host"),
        ("image.pullPolicy=Sometimes", "pullPolicy"),
        ("podMonitor.enabled=true", "Prometheus does not reach listen.address 127.0.0.1"),
    ],
)
def test_what_cannot_be_meant_is_refused(setting, complaint):
    done = helm("template", "podroutes", CHART, "--set", setting)
    assert done.returncode != 0
    assert complaint in done.stderr


@pytest.mark.parametrize(
    ("release", "name"), [("podroutes", "podroutes"), ("blue", "blue-podroutes"), ("my-podroutes", "my-podroutes")]
)
def test_two_releases_share_no_name_outside_of_their_namespaces(release, name):
    done = helm("template", release, CHART, "--set", "agent.events=true")
    outside = {"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}
    documents = [each for each in yaml.safe_load_all(done.stdout) if each and each["kind"] in outside]
    assert {each["kind"] for each in documents} == outside
    assert {each["metadata"]["name"] for each in documents} == {name}
    assert {each["roleRef"]["name"] for each in documents if "roleRef" in each} == {name}


def test_a_pod_monitor_finds_the_metrics():
    documents = chart("podMonitor.enabled=true", "listen.address=0.0.0.0", "podMonitor.labels.release=prometheus")
    monitor = one(documents, "PodMonitor")
    labels = one(documents, "DaemonSet")["spec"]["template"]["metadata"]["labels"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert (endpoint["path"], endpoint["port"]) == ("/metrics", agent(documents)["ports"][0]["name"])
    assert monitor["metadata"]["labels"]["release"] == "prometheus"


def test_the_schema_of_the_values_knows_them_all_and_takes_them():
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(values, schema)
    assert set(schema["properties"]) - {"global"} == set(values)
    for name, value in values.items():
        known = schema["properties"][name].get("properties")
        assert known is None or set(known) == set(value)
