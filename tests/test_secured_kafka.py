"""A Kafka with SASL/SCRAM, TLS and ACLs: what suffices, what is said when refused, what goes on."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import orjson
import pytest

from stream.cli.application import COMMANDS, run
from stream.client import AlertSubscriber
from stream.core.errors import CredentialsError, FatalBrokerError, TopicError
from stream.worker import Worker
from tests.deployment import MODEL, Deployment, reference
from tests.secured_kafka import Right, SecuredKafka
from tests.secured_site import CONNECTING, PASSWORD, WINDOW_MS, Site, until

pytestmark = pytest.mark.timeout(400)

_PATIENT = {"sources": "predictions", "transaction_timeout": "30s", "session_timeout": "30s"}
_APART = {"schemas", "dev"}  # that connect to nothing, or start a Kafka of their own


def _lines(capsys: pytest.CaptureFixture[str], *command: str) -> list[str]:
    assert run(command) == 0, capsys.readouterr().err
    return capsys.readouterr().out.splitlines()


def test_the_documented_rights_suffice_for_the_whole_path(
    site: Site,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    inside = Deployment(site.kafka.inside, site.prefix, tmp_path, **_PATIENT)
    inside.publish(reference())
    inside.monitor(window_ms=WINDOW_MS, hop_ms=WINDOW_MS, min_rows=100)
    secret, file = tmp_path / "password", tmp_path / "driftstream.toml"
    secret.write_text(f"{PASSWORD}\n")
    file.write_text(
        f'bootstrap_servers = "{site.kafka.bootstrap_servers}"\nidle_after = "1s"\n[kafka]\n'
        f'security.protocol = "SASL_SSL"\nsasl.mechanism = "SCRAM-SHA-256"\n'
        f'sasl.username = "{site.user("Worker")}"\nsasl.password_file = "{secret}"\n'
        f'ssl.ca.location = "{site.kafka.authority}"\n'
    )
    given = {
        "KAFKA_BOOTSTRAP_SERVERS": site.kafka.bootstrap_servers,
        "DRIFTSTREAM_CONFIG": str(file),
    }
    try:
        inside.start(**given)
        site.send_drifted_rows(site.user("Producer"))

        def arrived() -> bool:
            if inside.workers[-1].poll() == 3:  # on a machine too busy: as a supervisor would
                inside.start(**given)
            return inside.read("alerts") != [] and site.rows() == 2_000

        assert until(arrived, 200), inside.log()
        inside.stop()
    finally:
        inside.kill()
    for name, value in site.environ(site.user("Reader")).items():
        monkeypatch.setenv(name, value)
    tail = ("tail", "--from-beginning", "--max", "1", "--timeout", "20", "--json")
    assert orjson.loads(_lines(capsys, "windows", *tail)[0])["model"] == MODEL.model
    assert orjson.loads(_lines(capsys, "alerts", *tail)[0])["model"] == MODEL.model
    assert orjson.loads(_lines(capsys, "digest", "--json")[-1])["windows"] == 2
    assert len(_lines(capsys, "dead-letters", "list")) == 1  # the table's head
    with AlertSubscriber(
        bootstrap_servers=site.kafka.bootstrap_servers,
        topic_prefix=site.prefix,
        group="pager",
        from_beginning=True,
        kafka=site.properties(f"{site.prefix}reader"),
    ) as pager:
        alert = pager.poll(20)
    assert alert is not None and alert.model == MODEL.model


def test_an_operators_rights_suffice(
    site: Site,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in site.environ(site.user("Operator")).items():
        monkeypatch.setenv(name, value)
    monitors = tmp_path / "monitors.yaml"
    monitors.write_text("model: credit\nwindow: 5m\n")
    _lines(capsys, "apply", "-f", str(monitors))
    monitor, *_ = map(orjson.loads, _lines(capsys, "monitors", "--json"))
    assert monitor["model"] == "credit"
    assert _lines(capsys, "monitors", "-m", "other") != []


def test_wrong_credentials_are_told_by_every_command_the_worker_and_the_sdk(
    site: Site,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert set(COMMANDS) == set(CONNECTING) | _APART
    site.kafka.add_user("wrong", PASSWORD)
    (tmp_path / "monitors.yaml").write_text("model: credit\n")
    (tmp_path / "rows.csv").write_text("x\n1\n")
    monkeypatch.chdir(tmp_path)
    for name, value in site.environ("wrong", sasl_password="battery-staple").items():
        monkeypatch.setenv(name, value)
    for word, command in CONNECTING.items():
        began = time.monotonic()
        assert run(command) == 3, word
        assert time.monotonic() - began < 40, word
        told = capsys.readouterr()
        last = told.err.splitlines()[-1]
        assert f"driftstream: Kafka at {site.kafka.bootstrap_servers} refuses user wrong" in last
        assert last.endswith(
            "Check sasl.mechanism, sasl.username and sasl.password in the kafka settings"
        )
        assert "battery-staple" not in told.out + told.err


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"ssl_ca_location": "stranger"}, "certificate verify failed"),
        ({"security_protocol": "PLAINTEXT"}, "does it speak PLAINTEXT there"),
        ({"sasl_mechanism": "PLAIN"}, "refuses user"),
    ],
)
def test_a_connection_of_the_wrong_kind_is_told(
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    changed: dict[str, str],
    told: str,
) -> None:
    changed = {
        name: str(site.kafka.stranger) if value == "stranger" else value
        for name, value in changed.items()
    }
    site.kafka.add_user("kind", PASSWORD)
    logger = site.logger("kind", **changed)
    logger.log(features={"x": 1.0})
    assert until(lambda: told in caplog.text), "the SDK says nothing"
    logger.close(0)
    for name, value in site.environ("kind", **changed).items():
        monkeypatch.setenv(name, value)
    began = time.monotonic()
    assert run(["windows", "tail", "--timeout", "2"]) == 3
    assert time.monotonic() - began < 10
    last = capsys.readouterr().err.splitlines()[-1]
    assert site.kafka.bootstrap_servers in last and told in last


def test_the_worker_ends_after_some_tries_with_wrong_credentials(site: Site) -> None:
    site.kafka.add_user("wrong", PASSWORD)
    worker = Worker(site.settings("wrong", sasl_password="battery-staple"))
    began = time.monotonic()
    worker.start()
    try:
        assert worker.unready()
        assert worker.ended.wait(80)
    finally:
        worker.stop()
    assert isinstance(worker.error, CredentialsError)
    assert time.monotonic() - began >= 8
    assert "battery-staple" not in str(worker.error) + repr(worker.error)


def test_missing_rights_are_named_one_after_another_and_nothing_is_lost(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    missing = {
        f"may not Read group {site.prefix}observe": Right("group", "observe", "read"),
        f"may not Read topic {site.prefix}predictions": Right("topic", "predictions", "read"),
        f"may not Write topic {site.prefix}windows": Right("topic", "windows", "write"),
    }
    missing = {told: r._replace(name=site.prefix + r.name) for told, r in missing.items()}
    user = site.user("Worker", without=missing.values())
    # Read and Write bring Describe with them; a topic that isn't seen would be a missing one.
    seen = [r._replace(operation="describe") for r in missing.values() if r.kind == "topic"]
    site.kafka.grant(user, seen)
    worker = Worker(site.settings(user))
    worker.start()
    try:
        with site.logger(site.user("Producer")) as logger:
            sent = site.log_an_hour(logger)
        for told, right in missing.items():
            assert until(lambda told=told: told in caplog.text), caplog.text[-3_000:]  # type: ignore[misc]  # no type of a lambda's default
            # Between two tries it may look ready for a moment.
            assert until(worker.unready) and worker.error is None
            site.kafka.grant(user, [right])
        assert until(lambda: site.rows() >= sent), caplog.text[-3_000:]
        assert until(lambda: not worker.unready())
    finally:
        worker.stop()
    assert (site.rows(), worker.error) == (sent, None)
    for told in missing:
        assert sum(told in each for each in caplog.messages) <= 12  # pauses double, up to 30 s


def test_the_worker_ends_without_a_right_to_its_transactional_id(site: Site) -> None:
    missing = Right("transactional_id", f"{site.prefix}detect-*", "write")
    worker = Worker(site.settings(site.user("Worker", without=[missing])))
    worker.start()
    try:
        assert worker.ended.wait(80)
    finally:
        worker.stop()
    assert isinstance(worker.error, FatalBrokerError)
    text = f"may not Write and Describe transactional ids that begin with {site.prefix}detect-"
    assert text in str(worker.error)


def test_topics_that_may_not_be_made_are_named(secured: SecuredKafka, unique: str) -> None:
    site = Site(secured, unique)
    worker = Worker(site.settings(site.user("Worker")))
    worker.start()
    try:
        assert worker.ended.wait(80)
    finally:
        worker.stop()
    assert isinstance(worker.error, TopicError)
    for name in ("predictions", "detect-changelog"):
        assert f"may not Create, or Describe, topic {unique}{name}" in str(worker.error)


def test_the_sdk_names_the_right_that_it_lacks_and_goes_on_once_it_has_it(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    [write] = site.rights("Producer")
    user = site.user("Producer", without=[write])
    with site.logger(user) as logger:
        logger.log(features={"x": 1.0})
        told = f"user {user} may not Write any topic, {write.name} among them"
        assert until(lambda: logger.counters.failed == 1 and told in caplog.text)
        site.kafka.grant(user, [write])
        assert until(lambda: logger.log(features={"x": 2.0}) and logger.counters.delivered > 0)
        site.kafka.revoke(user, [write])
        assert until(
            lambda: logger.log(features={"x": 3.0}) and "Topic authorization" in caplog.text
        )
        assert f"user {user} may not Write topic {write.name}" in caplog.text


def test_a_reader_without_rights_is_told_which(
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    user = site.user("Reader", without=site.rights("Reader")[:2])
    for name, value in site.environ(user).items():
        monkeypatch.setenv(name, value)
    for word in ("windows", "alerts"):
        assert run([word, "tail", "--from-beginning", "--timeout", "10"]) == 3
        last = capsys.readouterr().err.splitlines()[-1]
        assert f"may not Describe topic {site.prefix}{word}" in last
        seen = [Right("topic", f"{site.prefix}{word}", "describe")]
        site.kafka.grant(user, seen)
    assert run(["windows", "tail", "--from-beginning", "--timeout", "10"]) == 3
    assert f"may not Read topic {site.prefix}windows" in capsys.readouterr().err
    assert run(["alerts", "tail", "--from-beginning", "--timeout", "3"]) == 3
    assert f"may not Read topic {site.prefix}alerts" in capsys.readouterr().err
