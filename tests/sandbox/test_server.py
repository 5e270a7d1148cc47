"""Starting, stopping, and books that survive it; the command line as people use it."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from sandbox import cli
from sandbox.books import Books
from sandbox.merchant import DEFAULT_SECRET_KEY, BadKey
from sandbox.merchant import Merchant as Account
from sandbox.remote import Control
from sandbox.server import AddressInUse, Running, address, bind
from sandbox.statefile import BrokenState, StateFile
from sandbox.world import Options
from tests.sandbox.conftest import Client, Merchant

ROOT = Path(__file__).parents[2]


@contextmanager
def served(*arguments: str, environ: dict[str, str] | None = None) -> Iterator[tuple[str, list[str]]]:
    """`python -m sandbox serve` as a process of its own; its URL and what it printed."""
    command = [sys.executable, "-m", "sandbox", "serve", "--port", "0", *arguments]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, **(environ or {})},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        lines: list[str] = []
        while not lines or not lines[-1].startswith("  profile"):
            line = process.stdout.readline()
            assert line, "".join(lines)
            lines.append(line.rstrip())
        yield next(line for line in lines if line.startswith("Chapa")).rpartition(" ")[2], lines
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.communicate()


def run(*arguments: str, **environ: str) -> int:
    return cli.main(argv=arguments, environ=environ)


def test_books_survive_a_restart(tmp_path: Path) -> None:
    options = Options(state=tmp_path / "deep" / "state.jsonl")
    with Running(options=options) as sandbox:
        api = Client(url=sandbox.url, key=sandbox.secret_key)
        for tx_ref in ("k-1", "k-2", "k-3"):
            api.checkout(tx_ref, meta={"n": 1.5})
        sandbox.control.pay(tx_ref="k-1")
        sandbox.control.refund(tx_ref="k-1", status="initiated", webhook=False)
        sandbox.control.fail(tx_ref="k-2", webhook=False)
        before = sandbox.control.books()
        shown = sandbox.control.transaction(tx_ref="k-1")["transaction"]
    with Running(options=options) as sandbox:
        api = Client(url=sandbox.url, key=sandbox.secret_key)
        assert sandbox.control.books() == before
        assert sandbox.control.transaction(tx_ref="k-1")["transaction"] == shown
        assert api.initialize("k-3").status_code == 400
        sandbox.control.advance(by="25h")
        books = sandbox.control.books()["transactions"]
        assert (books["k-1"]["status"], books["k-3"]["status"]) == ("refunded", "expired")
        api.checkout("k-4")
        numbers = [t.number for t in sandbox.world.books]
        assert len(set(numbers)) == len(numbers)
        sandbox.control.reset()
        assert not options.state or not options.state.exists()


def test_a_state_file_cut_by_a_crash_is_read_up_to_the_cut_and_a_broken_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.jsonl"
    with Running(options=Options(state=path)) as sandbox:
        Client(url=sandbox.url, key=sandbox.secret_key).checkout("cut-1")
    whole = path.read_text()
    path.write_text(whole + whole[:40])
    with Running(options=Options(state=path)) as sandbox:
        assert list(sandbox.control.books()["transactions"]) == ["cut-1"]
    path.write_text("[]\n" + whole)
    with pytest.raises(BrokenState, match="line 1"):
        StateFile(path=path).load(into=Books(merchant=Account()))


def test_a_taken_port_is_named() -> None:
    with bind(host="127.0.0.1", port=0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AddressInUse, match=str(port)):
            Running(port=port).start()


def test_connections_are_made_without_nagles_delay() -> None:
    """asyncio sets TCP_NODELAY only where the protocol is named; without it a call takes 40 ms."""
    with bind(host="127.0.0.1", port=0) as listening:
        assert listening.proto == socket.IPPROTO_TCP


def test_addresses_of_version_six_are_bracketed() -> None:
    try:
        with bind(host="::1", port=0) as listening:
            assert address(listening=listening).startswith("http://[::1]:")
    except (AddressInUse, OSError):
        pytest.skip("no IPv6 on this machine")


def test_a_sandbox_that_was_never_started_can_be_stopped_and_a_wrong_key_is_refused() -> None:
    Running().stop()
    with pytest.raises(BadKey):
        Running(secret_key="nonsense").start()


def test_checkout_links_begin_with_the_public_url() -> None:
    with Running(options=Options(public_url="https://pay.example/")) as sandbox:
        url = Client(url=sandbox.url, key=sandbox.secret_key).checkout("u-1")
        assert url.startswith("https://pay.example/checkout/payment/")


def test_the_process_serves_obeys_the_command_line_and_ends_on_a_signal(
    capsys: pytest.CaptureFixture[str], merchant: Merchant, tmp_path: Path
) -> None:
    options = ("--control-port", "0", "--switch", "verify_unknown=404", "--state", str(tmp_path / "s"))
    with served(*options, environ={"SANDBOX_WEBHOOK_URL": merchant.url}) as (url, lines):
        assert any(DEFAULT_SECRET_KEY in line for line in lines)
        control_url = next(line for line in lines if "control" in line).split()[-1].removesuffix("/control/health")
        assert urlsplit(control_url).port != urlsplit(url).port
        api = Client(url=url, key=DEFAULT_SECRET_KEY)
        assert api.verify("x").status_code == 404
        for tx_ref in ("a", "b", "c", "d"):
            api.checkout(tx_ref)
        told = {"SANDBOX_URL": control_url}
        commands = (
            ("pay", "a", "--amount", "99.5"), ("refund", "a", "--amount", "9.5"), ("replay", "a", "--copies", "2"),
            ("reverse", "a", "--no-webhook"), ("fail", "b", "--attempt-only"), ("fail", "b"), ("cancel", "c"),
            ("expire", "d"), ("trigger", "payout.success"), ("clock", "--advance", "10m"), ("clock",),
            ("requests", "--tx-ref", "a"), ("deliveries",), ("switches",), ("books",),
        )  # fmt: skip
        for command in commands:
            capsys.readouterr()
            assert run(*command, **told) == 0, command
        books = json.loads(capsys.readouterr().out)
        assert [row["status"] for row in books["transactions"].values()] == [
            "reversed", "failed", "cancelled", "expired",
        ]  # fmt: skip
        assert run("pay", "nobody", **told) == 1
        assert "no transaction 'nobody'" in capsys.readouterr().err
        Control(url=control_url).unreachable(mode="refuse")
        with pytest.raises(requests.ConnectionError):
            requests.get(url, timeout=60)


def test_one_port_cannot_shut_itself() -> None:
    with served("--secret-key", "CHASECK-" + "l" * 32, "--mode", "live", "--host", "0.0.0.0") as (url, lines):
        assert "warning" in lines[0]
        port = urlsplit(url).port
        answer = requests.post(f"http://127.0.0.1:{port}/control/unreachable", json={"mode": "refuse"}, timeout=60)
        assert (answer.status_code, "--control-port" in answer.json()["error"]) == (422, True)
        body = {"mode": "no"}
        assert requests.post(f"http://127.0.0.1:{port}/control/unreachable", json=body, timeout=60).ok
        assert requests.post(f"http://127.0.0.1:{port}/control/reset", timeout=60).ok


@pytest.mark.parametrize(
    ("arguments", "environ", "message"),
    [
        ((), {"SANDBOX_SECRET_KEY": "CHASECK-" + "l" * 32}, "looks like a live one"),
        (("--secret-key", "sk_test_1"), {}, "begins with CHASECK_TEST-"),
        (("--webhook-secret", ""), {}, "webhook secret is empty"),
        (("--webhook-attempts", "0"), {}, "at least 1"),
        (("--switch", "nonsense=1"), {}, "unknown switch"),
        (("--switch", "nonsense"), {}, "name=value"),
    ],
)
def test_serve_refuses_what_cannot_be_meant(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], environ: dict[str, str], message: str
) -> None:
    assert run("serve", "--port", "0", *arguments, **environ) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("option", [("--fee-percent", "NaN"), ("--fee-percent", "x"), ("--retry-window", "x")])
def test_bad_values_are_said_by_the_parser(capsys: pytest.CaptureFixture[str], option: tuple[str, str]) -> None:
    with pytest.raises(SystemExit):
        run("serve", *option)
    assert option[0] in capsys.readouterr().err


def test_a_taken_port_ends_serve_with_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with bind(host="127.0.0.1", port=0) as taken:
        assert run("serve", "--port", str(taken.getsockname()[1])) == 1
    assert "cannot listen on" in capsys.readouterr().err


def test_alone_it_prints_help_and_without_a_sandbox_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    assert "serve" in capsys.readouterr().out
    assert run("books", "--url", "http://127.0.0.1:9") == 1
    assert "no sandbox answers" in capsys.readouterr().err


def test_a_reader_that_has_enough_is_no_error() -> None:
    command = [sys.executable, "-m", "sandbox", "switches"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_no_proxy_of_the_machine_sees_a_delivery(
    monkeypatch: pytest.MonkeyPatch, sandbox: Running, api: Client, merchant: Merchant
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    api.session.trust_env = False
    api.checkout("x-1")
    sandbox.control.pay(tx_ref="x-1")
    assert sandbox.control.deliveries(wait="60s")[0]["state"] == "delivered"


def test_it_imports_nothing_of_the_system_that_it_serves() -> None:
    code = (
        "import sys, sandbox.server, sandbox.cli;"
        "print([name for name in ('django', 'config', 'core', 'payments') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
