"""Settings: where they come from, what is refused, and that no secret is printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.core.errors import ConfigError
from stream.core.specs import TimeSpec
from stream.delivery import ENGINE_OWNED
from stream.engine.settings import EngineSettings
from stream.settings import (
    KafkaProperties,
    Settings,
    load_settings,
    parse_duration,
)


def test_defaults_are_the_designs_time_rules() -> None:
    settings = load_settings(environ={})
    assert settings.time == TimeSpec()
    assert settings.topic_prefix == "driftstream."
    assert settings.http_host == "127.0.0.1"


def test_options_win_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "driftstream.toml"
    file.write_text('topic_prefix = "file."\npane = "10s"\nhttp_port = 1\n')
    environ = {"DRIFTSTREAM_TOPIC_PREFIX": "env.", "DRIFTSTREAM_PANE": "20s"}
    settings = load_settings({"topic_prefix": "opt."}, file=file, environ=environ)
    assert (settings.topic_prefix, settings.pane, settings.http_port) == ("opt.", 20_000, 1)


def test_the_file_may_be_named_by_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "driftstream.toml"
    file.write_text("http_port = 1234\n")
    assert load_settings(environ={"DRIFTSTREAM_CONFIG": str(file)}).http_port == 1234


def test_our_own_broker_variable_wins_over_the_common_one() -> None:
    environ = {"KAFKA_BOOTSTRAP_SERVERS": "common:1"}
    assert load_settings(environ=environ).bootstrap_servers == "common:1"
    environ["DRIFTSTREAM_BOOTSTRAP_SERVERS"] = "own:1"
    assert load_settings(environ=environ).bootstrap_servers == "own:1"


def test_librdkafka_properties_from_everywhere(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("from-a-file\n")
    file = tmp_path / "driftstream.toml"
    file.write_text('[kafka]\nsecurity.protocol = "SASL_SSL"\n"socket.keepalive.enable" = true\n')
    environ = {
        "DRIFTSTREAM_KAFKA_SASL_USERNAME": "alice",
        "DRIFTSTREAM_KAFKA_SASL_PASSWORD_FILE": str(secret),
    }
    options = {"bootstrap_servers": "b:1", "kafka": {"client.rack": "r1"}}
    assert load_settings(options, file=file, environ=environ).client_config() == {
        "bootstrap.servers": "b:1",
        "client.rack": "r1",
        "sasl.password": "from-a-file",
        "sasl.username": "alice",
        "security.protocol": "SASL_SSL",
        "socket.keepalive.enable": "true",
    }


def test_an_unknown_key_names_the_nearest_one_and_its_place() -> None:
    with pytest.raises(ConfigError, match=r"environment: .*`topic_prefx`; did you mean `topic_pre"):
        load_settings(environ={"DRIFTSTREAM_TOPIC_PREFX": "x"})


def test_variables_of_kubernetes_services_are_no_settings() -> None:
    environ = {
        "DRIFTSTREAM_SERVICE_HOST": "10.0.0.1",
        "DRIFTSTREAM_PORT": "tcp://10.0.0.1:80",
        "DRIFTSTREAM_PORT_80_TCP_ADDR": "10.0.0.1",
        "DRIFTSTREAM_CACHE": "/var/cache/x",
    }
    assert load_settings(environ=environ) == load_settings(environ={})


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("pane", "10", "no duration"),
        ("pane", 10, "no duration"),
        ("http_port", "99999", "65535"),
        ("log_format", "xml", "'text' or 'json'"),
        ("sources", "predictions,clicks", "must be among"),
        ("sources", "", "must be among"),
        ("topic_prefix", "a b", "letters, digits"),
        ("kafka", {"group.id": "x"}, "cannot be changed"),
        ("kafka", "x", "table"),
    ],
)
def test_wrong_values_are_config_errors(option: str, value: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_settings({option: value}, environ={})


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings({"pane": "x", "http_port": "y"}, environ={})
    assert "pane" in str(caught.value)
    assert "http_port" in str(caught.value)


def test_unknown_names_and_wrong_values_from_everywhere_are_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "driftstream.toml"
    file.write_text('pain = "10s"\nhttp_port = "y"\nkafka = 7\n')
    environ = {"DRIFTSTREAM_TOPIC_PREFX": "x", "DRIFTSTREAM_LOG_LEVEL": "loud"}
    options = {
        "pane": "x",
        "sources": "predictions,predictions",
        "registry_password_file": str(tmp_path / "absent"),
        "kafka": {"group.id": "x", "partitioner": "y", "sasl.password": "hush"},
    }
    with pytest.raises(ConfigError) as caught:
        load_settings(options, file=file, environ=environ)
    told = str(caught.value).splitlines()
    for place, said in (
        (str(file), "there is no setting `pain`; did you mean `pane`?"),
        (str(file), "http_port: Input should be a valid integer"),
        (str(file), "kafka must be a table"),
        ("environment", "`topic_prefx`; did you mean `topic_prefix`?"),
        ("environment", "log_level: Input should be 'debug'"),
        ("options", "pane: 'x' is no duration"),
        ("options", "sources: names a topic twice"),
        ("options", "registry_password_file: "),
        ("kafka", "group.id, partitioner: set by driftstream itself, and cannot be changed"),
    ):
        assert any(line.startswith(f"{place}: ") and said in line for line in told), said
    assert len(told) == 9
    assert "hush" not in str(caught.value)


def test_no_printed_form_shows_a_secret(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("hush-3")
    kafka = {
        "sasl.password": "hush-1",
        "ssl.key.pem": "hush-2",
        "sasl.oauthbearer.client.secret_file": str(token),
        "sasl.username": "alice",
    }
    options = {"kafka": kafka, "registry_password": "hush-4"}
    settings = load_settings(options, environ={})
    printed = f"{settings} {settings!r} {settings.describe()} {settings.kafka}"
    assert "hush" not in printed
    assert "alice" in printed


def test_an_error_does_not_show_a_secret() -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings({"kafka": {"sasl.password": "hush", "group.id": "x"}}, environ={})
    assert "hush" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    absent = tmp_path / "absent.toml"
    with pytest.raises(ConfigError, match=r"absent\.toml"):
        load_settings(file=absent, environ={})
    broken = tmp_path / "broken.toml"
    broken.write_text("pane = \n")
    with pytest.raises(ConfigError, match="TOML"):
        load_settings(file=broken, environ={})
    with pytest.raises(ConfigError, match="registry_password_file"):
        load_settings({"registry_password_file": str(absent)}, environ={})
    with pytest.raises(ConfigError, match="keep one"):
        load_settings({"registry_password": "a", "registry_password_file": str(absent)}, environ={})


def test_settings_are_frozen() -> None:
    settings = load_settings(environ={})
    with pytest.raises(ValueError, match="frozen"):
        settings.pane = 1


def test_no_broker_says_how_to_name_one() -> None:
    with pytest.raises(ConfigError, match="KAFKA_BOOTSTRAP_SERVERS"):
        load_settings(environ={}).client_config()


def test_what_the_engine_refuses_is_refused_here() -> None:
    for name in sorted(ENGINE_OWNED):
        with pytest.raises(ConfigError):
            EngineSettings("b:1", kafka={name: "x"})


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("500ms", 500), ("30s", 30_000), ("1.5m", 90_000), ("2h", 7_200_000), ("7d", 604_800_000)],
)
def test_durations(text: str, milliseconds: int) -> None:
    assert parse_duration(text) == milliseconds


def test_kafka_properties_print_masked() -> None:
    assert repr(KafkaProperties({"sasl.password": "x"})) == (
        "KafkaProperties({'sasl.password': '**********'})"
    )


def test_every_setting_is_documented() -> None:
    page = (Path(__file__).parent.parent / "docs" / "configuration.md").read_text()
    assert [name for name in Settings.model_fields if f"| `{name}` |" not in page] == []
