"""No secret is printed: not by settings, objects, errors, logs, librdkafka, endpoints, a crash."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection
from pathlib import Path

import pytest

from stream.adapters.kafka.log import Throttle, kafka_logger
from stream.cli.application import run
from stream.cli.delivery import logger_options
from stream.client import AlertSubscriber, LabelLogger, PredictionLogger
from stream.client.options import Options
from stream.client.packers import FramedPacker
from stream.core.errors import ConfigError
from stream.settings import Settings, load_settings
from stream.worker import Worker

SECRET = "hunter2-Xk9"
_WAYS = ("toml", "toml file", "environment", "environment file", "option")
_COMMAND = [sys.executable, "-c", "from stream.cli.entry import main; main()"]
_CRASH = """
from stream.cli.application import COMMANDS, run
from stream.cli.options import new_app, with_settings
app = new_app()
@app.command()
@with_settings
def crash(settings):
    kafka = settings.client_config()
    raise RuntimeError("crashed with " + str(len(kafka)))
COMMANDS["crash"] = "__main__:app"
run(["crash", *__import__("sys").argv[1:]])
"""
_SECRET_PROPERTIES = (
    "sasl.password",
    "sasl.passwrd",  # not known to librdkafka, and as secret
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.password",
    "sasl.oauthbearer.config",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.assertion.private.key.passphrase",
    "sasl.oauthbearer.extensions",
)


@pytest.fixture
def whole_log() -> Iterator[None]:
    """Every line of librdkafka's comes through; the process's log is put back afterwards."""
    root, ours = logging.getLogger(), kafka_logger()
    before = root.level, root.handlers[:], ours.filters[:]
    ours.filters[:] = [Throttle(seconds=0.0)]
    yield
    root.setLevel(before[0])
    root.handlers[:], ours.filters[:] = before[1:]


def _given(way: str, tmp_path: Path) -> tuple[list[str], dict[str, str]]:
    """A command's options and environment, with SECRET given in that way."""
    secret, toml = tmp_path / "secret", tmp_path / "driftstream.toml"
    secret.write_text(f"{SECRET}\n")
    common = 'bootstrap_servers = "127.0.0.1:1"\n'
    name = "DRIFTSTREAM_KAFKA_SASL_PASSWORD"
    registry = "DRIFTSTREAM_REGISTRY_PASSWORD"
    options: list[str] = ["--config", str(toml)]
    environ: dict[str, str] = {}
    if way == "toml":
        common += f'registry_password = "{SECRET}"\n[kafka]\nsasl.password = "{SECRET}"\n'
    elif way == "toml file":
        common += f'registry_password_file = "{secret}"\n[kafka]\nsasl.password_file = "{secret}"\n'
    elif way == "environment":
        environ = {name: SECRET, registry: SECRET}
    elif way == "environment file":
        environ = {f"{name}_FILE": str(secret), f"{registry}_FILE": str(secret)}
    else:
        for setting in ("kafka.sasl.password", "registry_password"):
            options += ["--set", f"{setting}={SECRET}"]
    toml.write_text(common)
    for setting in (
        "kafka.security.protocol=SASL_PLAINTEXT",
        "kafka.sasl.mechanism=PLAIN",
        "kafka.sasl.username=alice",
        "kafka.debug=all",
        "log_level=debug",
        f"registry_url=http://bob:{SECRET}@127.0.0.1:1",
    ):
        options += ["--set", setting]
    return options, environ


def _environ(more: Mapping[str, str]) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DRIFTSTREAM_", "KAFKA_"))}
    return {**kept, **more}


@pytest.mark.usefixtures("whole_log")
@pytest.mark.parametrize("way", _WAYS)
def test_no_way_to_give_a_secret_ends_in_what_a_command_prints(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options, environ = _given(way, tmp_path)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    settings = load_settings({}, file=tmp_path / "driftstream.toml")
    assert run(["windows", "tail", "--timeout", "0.1", *options]) == 3
    for wrong in ("pane=x", "kafka.group.id=g", "kafka.no.such=1", f"pane:{SECRET}", "pnae=1"):
        assert run(["topics", "list", *options, "--set", wrong]) == 2, wrong
    assert run(["topics", "list", *options, "--help"]) == 0
    printed = capsys.readouterr()
    text = printed.out + printed.err + repr(settings) + str(settings.describe())
    assert "sasl.password = [redacted]" in text  # its own dump of the properties
    assert SECRET not in text


def test_a_worker_at_debug_prints_its_settings_without_secrets(tmp_path: Path) -> None:
    options, environ = _given("toml", tmp_path)
    command = [*_COMMAND, "worker", "--http-port", "0", *options]
    with subprocess.Popen(
        command, env=_environ(environ), stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        printed = _until_it_waits(process.stderr)
        address = next(line.rsplit(" ", 1)[1] for line in printed if "/livez" in line).strip()
        shown = "".join(_page(address, path) for path in ("/", "/metrics", "/livez", "/config"))
        process.send_signal(signal.SIGTERM)
        printed += process.stderr.readlines()
        assert process.wait(20) == 0
    assert any("settings: {" in line and "'sasl.password': '****" in line for line in printed)
    assert SECRET not in "".join(printed) + shown


def _until_it_waits(lines: Iterator[str]) -> list[str]:
    printed = []
    for line in lines:
        printed.append(line)
        if "waiting for Kafka" in line:
            break
    return printed


def _page(address: str, path: str) -> str:
    connection = HTTPConnection(address.removeprefix("http://"), timeout=10)
    connection.request("GET", path)
    page = connection.getresponse().read().decode()
    connection.close()
    return page


def test_a_crash_prints_no_secret(tmp_path: Path) -> None:
    options, environ = _given("environment", tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", _CRASH, *options],
        env=_environ(environ), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1 and "RuntimeError: crashed with" in done.stderr
    assert SECRET not in done.stdout + done.stderr


@pytest.mark.parametrize("name", _SECRET_PROPERTIES)
def test_settings_show_asterisks_wherever_they_are_printed(name: str) -> None:
    settings = load_settings(
        {
            "registry_url": f"https://bob:{SECRET}@registry:8081/x",
            "kafka": {name: SECRET, "sasl.oauthbearer.token.endpoint.url": f"https://a:{SECRET}@b"},
        },
        environ={},
    )
    printed = [repr(settings), str(settings), str(settings.describe()), repr(settings.kafka)]
    printed += [settings.model_dump_json(), str(settings.model_dump()), f"{settings.kafka}"]
    assert SECRET not in "".join(printed)
    assert settings.kafka.values[name] == SECRET
    assert (settings.registry_url, settings.registry_user) == ("https://registry:8081/x", "bob")
    assert settings.registry_password.get_secret_value() == SECRET


def test_what_is_harmless_is_shown() -> None:
    harmless = {"security.protocol": "SASL_SSL", "sasl.username": "alice", "ssl.ca.location": "/ca"}
    assert load_settings({"kafka": harmless}, environ={}).kafka.masked() == harmless


def test_the_sdks_objects_show_no_secret() -> None:
    kafka = {"sasl.password": SECRET, "security.protocol": "SASL_PLAINTEXT"}
    kafka |= {
        "sasl.mechanism": "PLAIN",
        "sasl.username": "alice",
        "bootstrap.servers": "127.0.0.1:1",
    }
    url = f"http://bob:{SECRET}@127.0.0.1:1"
    shared = {"kafka": kafka, "exit_seconds": 0.0}
    with (
        PredictionLogger(model="m", format="avro", registry_url=url, **shared) as predictions,  # type: ignore[arg-type]  # as it takes them
        LabelLogger(**shared) as labels,  # type: ignore[arg-type]  # likewise
        AlertSubscriber(kafka=kafka) as alerts,
    ):
        objects = [predictions, labels, alerts, predictions._outbox, predictions._options]
        inner = [repr(vars(each)) for each in (predictions, labels, alerts, predictions._outbox)]
    assert SECRET not in "".join(map(repr, objects)) + "".join(inner)
    assert SECRET not in repr(Options("t", kafka, format="avro", registry_url=url))


@pytest.mark.parametrize("url", ["ftp://u:{}@h", "http://u:{}/x@h", "//u:{}@h", "http://u:p{}@"])
def test_a_registrys_url_that_is_refused_is_not_repeated(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        FramedPacker(url.format(SECRET), "prediction")
    assert SECRET not in str(refused.value)


def test_produce_gives_the_logger_the_registrys_login() -> None:
    given = {"bootstrap_servers": "h:1", "registry_url": "http://r:1/x", "registry_user": "b@b"}
    settings = load_settings({**given, "registry_password": "p/w"}, environ={})
    assert logger_options(settings, "avro")["registry_url"] == "http://b%40b:p%2Fw@r:1/x"
    assert logger_options(settings, "json")["registry_url"] is None


def test_the_endpoints_listen_on_this_machine_only_by_default() -> None:
    settings: Settings = load_settings({"bootstrap_servers": "127.0.0.1:1"}, environ={})
    worker = Worker(settings.model_copy(update={"http_port": 0}))
    worker.start()
    try:
        assert worker._endpoints is not None and worker._endpoints._server is not None
        bound = worker._endpoints._server.socket.getsockname()[0]
    finally:
        worker.stop()
    assert bound == "127.0.0.1"
