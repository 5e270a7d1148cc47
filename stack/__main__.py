"""The commands behind the Makefile: ``python -m stack run | demo | manage | services``; ``--help`` explains each."""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

from stack import plan, ports, servers, system, welcome
from stack.errors import StackError
from stack.interruption import Interruption
from stack.plan import STOP_ORDER
from stack.terminal import Terminal

ROOT = Path(__file__).resolve().parent.parent
_INTERRUPTED = 130  # what a shell calls a program that Ctrl-C has ended

_ENVIRONMENT = """\
environment (or the file .env beside manage.py):
  PORT            the site's port, default 8000; its neighbours are those of the others:
  SANDBOX_PORT    default PORT+1        POSTGRES_PORT   default PORT+2
  VALKEY_PORT     default PORT+3        WEB_PORT        default PORT+4
  LIVE_PORT       default PORT+5
  DATABASE_URL    use this PostgreSQL instead of the embedded one
  BROKER_URL      use this broker (amqp:// or redis://); with
  REDIS_URL       this cache as well, no Valkey is started
  CHAPA_BASE_URL  use this Chapa instead of the local sandbox (give CHAPA_SECRET_KEY and
                  CHAPA_WEBHOOK_SECRET too)
  WEB_WORKERS, WEB_THREADS, WORKER_PROCESSES   default 2, 4, 2
  NO_COLOR        no colours
"""


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    top = argparse.ArgumentParser(
        prog="python -m stack",
        description="Starts the whole of Nexus on this machine, with an embedded PostgreSQL and Valkey.",
        epilog=_ENVIRONMENT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    run = commands.add_parser(
        "run",
        help="start everything and keep it running until Ctrl-C",
        epilog=_ENVIRONMENT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run.add_argument("--var", type=Path, metavar="FOLDER", help="data and logs (default: var)")
    run.add_argument("--quiet", action="store_true", help="keep the processes' lines in the log files alone")
    run.add_argument("--check", action="store_true", help="stop again as soon as everything is ready; exit 0 if it was")

    play = commands.add_parser("demo", help="play the stories on a system of its own, on spare ports")
    play.add_argument("--only", metavar="N[,N…]", help="play these stories alone")
    play.add_argument("--list", action="store_true", help="list the stories and play none")
    play.add_argument("--keep", action="store_true", help="keep the data and logs, and say where")
    play.add_argument("--verbose", action="store_true", help="show what the processes print")

    manage = commands.add_parser(
        "manage",
        help="run a management command on the system that `run` has started",
        description="Runs manage.py with the settings and secrets of the system that `run` starts from here.",
        usage="python -m stack manage [--var FOLDER] COMMAND [ARGUMENT …]",
    )
    manage.add_argument("--var", type=Path, metavar="FOLDER", help="data and logs (default: var)")
    manage.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND")

    serve = commands.add_parser(
        "services",
        help="run a command with a throw-away PostgreSQL and Valkey",
        description="Starts what DATABASE_URL, BROKER_URL and REDIS_URL do not give, sets them, and runs COMMAND; "
        "ends with its exit code.",
        usage="python -m stack services [--real | --keep-in FOLDER] -- COMMAND [ARGUMENT …]",
        epilog="--real looks at the usual ports; REAL_DATABASE_URL, REAL_BROKER_URL and REAL_REDIS_URL say otherwise.",
    )
    serve.add_argument("--real", action="store_true", help="borrow the PostgreSQL, RabbitMQ and Redis that run here")
    serve.add_argument("--keep-in", type=Path, metavar="FOLDER", help="keep the data in FOLDER for the next time")
    serve.add_argument("words", nargs="+", metavar="COMMAND")
    return top


def run(*, root: Path, var: Path, quiet: bool, check: bool) -> int:
    """Start everything, print the welcome, and keep it running until somebody asks for the end.

    :raises StackError: it cannot be started, or a part of it is given up.
    """
    interruption = Interruption()
    with interruption.listening():
        env = plan.environment(root=root, env=os.environ)
        wanted = plan.make(root=root, var=var.resolve(), env=env, chosen=ports.from_environment(env=env))
        terminal = Terminal(quiet=quiet or check, names=[*wanted.names, "prepare"])
        terminal.say(f"Nexus starts: {', '.join(wanted.names)}")
        try:
            with system.running(plan=wanted, var=var.resolve(), terminal=terminal, interruption=interruption) as ours:
                ours.start()
                terminal.say(welcome.text(plan=wanted, var=var.resolve(), durations=ours.durations, terminal=terminal))
                if check:
                    return 0
                while not interruption.wait(seconds=0.2):
                    failure = ours.failure()
                    if failure is not None:
                        raise failure
                terminal.say(f"Stopping {', '.join(name for name in STOP_ORDER if name in wanted.names)} …")
        except StackError:
            if interruption.is_wanted():
                return _INTERRUPTED
            raise
    terminal.say("Stopped.")
    return 0


def play(*, root: Path, only: str | None, listing: bool, keep: bool, verbose: bool) -> int:
    """Play the stories; returns 0 only if each of them held. :raises StackError: the system does not come up."""
    from stack import demo  # here, because the stories bring an HTTP client along that `run` has no need of
    from stack.stories import STORIES

    stories = demo.pick(stories=STORIES, only=only)
    terminal = Terminal(quiet=not verbose, names=[*STOP_ORDER, "prepare"])
    if listing:
        terminal.say("\n".join(f"{story.number:>3}  {story.title}" for story in stories))
        return 0
    interruption = Interruption()
    with interruption.listening():
        try:
            return demo.run(
                root=root, env=os.environ, stories=stories, keep=keep, terminal=terminal, interruption=interruption
            )
        except StackError:
            if interruption.is_wanted():
                return _INTERRUPTED
            raise


def manage(*, root: Path, var: Path, words: Sequence[str]) -> int:
    """Run a management command as the system of `var` would; returns its exit code.

    :raises StackError: the environment contradicts itself, or nothing was ever started with this folder.
    """
    if not var.is_dir():
        raise StackError(f"There is no {var}: start the system first (make run).")
    env = plan.environment(root=root, env=os.environ)
    wanted = plan.make(root=root, var=var.resolve(), env=env, chosen=ports.from_environment(env=env))
    return _run_with(words=[sys.executable, str(root / "manage.py"), *words], urls=wanted.env)


def serve(*, words: Sequence[str], keep_in: Path | None, real: bool) -> int:
    """Run a command with servers of its own; returns its exit code. :raises StackError: a server does not start."""
    if real:
        return _serve_real(words=words)
    if keep_in is not None:
        with system.sole_user(var=keep_in.resolve()):
            return _serve(words=words, folder=keep_in.resolve(), durable=True)
    with servers.throw_away_folder(prefix="nexus-services-") as folder:
        return _serve(words=words, folder=folder, durable=False)


def _serve_real(*, words: Sequence[str]) -> int:
    from stack import real_servers  # here, because it brings a Redis client along that the rest has no need of

    silent = real_servers.absent(env=os.environ)
    if silent:
        raise StackError(f"Nobody listens at {', '.join(silent)}, so there is no real server to borrow.")
    with real_servers.borrowed(env=os.environ) as urls:
        return _run_with(words=words, urls=urls)


def _serve(*, words: Sequence[str], folder: Path, durable: bool) -> int:
    with servers.running(folder=folder, env=os.environ, durable=durable) as urls:
        return _run_with(words=words, urls=urls)


def _run_with(*, words: Sequence[str], urls: Mapping[str, str]) -> int:
    # Ctrl-C reaches the command itself; it decides what that means, and we clear up when it has ended.
    before = signal.signal(signal.SIGINT, _leave_it_to_the_command)
    try:
        return_code = subprocess.run(words, env={**os.environ, **urls}, check=False).returncode
    except OSError as problem:
        raise StackError(f"{words[0]} cannot be run: {problem.strerror}") from problem
    finally:
        signal.signal(signal.SIGINT, before)
    return return_code if return_code >= 0 else 128 - return_code


def _leave_it_to_the_command(_signum: int, _frame: FrameType | None) -> None:
    """A handler of ours, unlike SIG_IGN, is not inherited by the command."""


def main(*, arguments: Sequence[str], root: Path = ROOT) -> int:
    """Run one command; returns the exit code. What can be mended by the reader is printed without a traceback."""
    asked = parser().parse_args(arguments)
    try:
        if asked.command == "run":
            return run(root=root, var=asked.var or root / "var", quiet=asked.quiet, check=asked.check)
        if asked.command == "demo":
            return play(root=root, only=asked.only, listing=asked.list, keep=asked.keep, verbose=asked.verbose)
        if asked.command == "manage":
            return manage(root=root, var=asked.var or root / "var", words=asked.words)
        return serve(words=asked.words, keep_in=asked.keep_in, real=asked.real)
    except StackError as problem:
        print(f"\n{problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED


if __name__ == "__main__":
    sys.exit(main(arguments=sys.argv[1:]))
