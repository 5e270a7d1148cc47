"""What we agreed on and no tool checks by itself. Each rule is shown a bad example that it must find."""

from __future__ import annotations

import ast
import io
import re
from collections.abc import Callable, Iterator

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import models

from tests.architecture.source_tree import APPS, ROOT, Module, kept_files, modules

USE_CASES = {
    "core": {"outbox", "idempotency", "pruning"},
    "users": {
        "registration", "sessions", "profile", "passwords", "recovery", "limits", "address_book", "identities", "abuse",
        "second_factor",
    },
    "products": {"stock"},
    "orders": {"placement", "delivery", "lifecycle", "access", "tickets"},
    "payments": {
        "applying", "attempts", "bookings", "checkout", "closing", "comparison", "day_report", "discrepancies",
        "inquiry", "ledger", "listing", "locking", "matching", "nightly", "payouts", "proving", "reconciliation",
        "refunds", "replay", "resolutions", "schedule", "settled", "settlement", "statement_rows", "statements",
        "three_way", "timeline", "webhooks", "withdrawing",
    },
    "notifications": {"dispatch", "delivery"},
    "desk": {
        "accounting", "attention", "books", "charts", "door", "erasure", "export_columns", "export_files",
        "export_keeping", "export_sources", "exports", "figures", "month", "showing", "story", "wishes",
    },
}  # fmt: skip
OUTSIDE = ("requests", "urllib.request", "urllib3", "http.client", "httpx", "aiohttp", "pycurl", "ftplib")
SIGNALS = ("django.dispatch", "django.db.models.signals", "django.core.signals", "django.contrib.auth.signals")

Rule = Callable[[Module], Iterator[str]]


def no_signals(module: Module) -> Iterator[str]:
    for name, line in module.imports():
        if name.startswith(SIGNALS):
            yield f"{module.path}:{line} imports {name}"


def one_client(module: Module) -> Iterator[str]:
    for name, line in module.imports():
        if any(name == each or name.startswith(f"{each}.") for each in OUTSIDE):
            yield f"{module.path}:{line} imports {name}"


def one_publisher(module: Module) -> Iterator[str]:
    if module.path == "core/relay.py":
        return
    for name, call in module.calls():
        if name in {"delay", "apply_async", "send_task"}:
            yield f"{module.at(call)} publishes by {name}"


def no_long_wait_in_a_queue(module: Module) -> Iterator[str]:
    for _, call in module.calls():
        for keyword in call.keywords:
            value = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
            if keyword.arg == "eta" or (keyword.arg == "countdown" and not (isinstance(value, int) and value <= 60)):
                yield f"{module.at(call)} waits in the broker; a row with its time waits better"


def no_float(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            yield f"{module.at(node)} holds {node.value}"
        if isinstance(node, ast.Name) and node.id == "float":
            yield f"{module.at(node)} speaks of float"


def durable_by_name(module: Module) -> Iterator[str]:
    """A durable transaction goes through `core.transactions.durable`, which has its crash points."""
    if module.path in {"core/transactions.py", "core/relay.py"}:
        return
    for name, call in module.calls():
        if name == "atomic" and any(keyword.arg == "durable" for keyword in call.keywords):
            yield module.at(call)


def nothing_dangerous(module: Module) -> Iterator[str]:
    for name, call in module.calls():
        if name in {"mark_safe", "extra", "raw", "eval", "exec"}:
            yield f"{module.at(call)} calls {name}"
        if name == "csrf_exempt" and "webhook" not in ast.unparse(call):
            yield f"{module.at(call)} calls {name}"
        if name == "order_by" and any("request" in ast.unparse(argument) for argument in call.args):
            yield f"{module.at(call)} sorts by what a request says"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler) and all(isinstance(each, ast.Pass) for each in node.body):
            yield f"{module.at(node)} swallows an exception"


def named_for_what_happens(module: Module) -> Iterator[str]:
    if module.stem in {"services", "utils", "helpers", "manager", "managers", "common", "misc"}:
        yield module.path


def reads_in_one_sitting(module: Module) -> Iterator[str]:
    if module.source.count("\n") > 400:
        yield module.path


def keyword_only_and_explained(module: Module) -> Iterator[str]:
    app = module.path.split("/")[0]
    if module.path.count("/") != 1 or module.stem not in USE_CASES.get(app, set()):
        return
    for node in module.tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            # One thing may be named by its place where the call then reads aloud: `quantities_of(order)`.
            if len(node.args.args) > 1 or node.args.posonlyargs or node.args.vararg:
                yield f"{module.at(node)} {node.name} takes positional arguments"
            if not ast.get_docstring(node) and len(node.body) > 1:
                yield f"{module.at(node)} {node.name} has no docstring"
            if node.returns is None:
                yield f"{module.at(node)} {node.name} does not say what it returns"


def explained(module: Module) -> Iterator[str]:
    if module.tree.body and not ast.get_docstring(module.tree) and module.stem not in {"apps", "urls", "__init__"}:
        yield module.path


def module_of(path: str, source: str) -> Module:
    return Module(path, source, ast.parse(source))


def in_money_code() -> tuple[Module, ...]:
    """Not the client's timeouts, which are seconds."""
    return tuple(
        each
        for each in modules()
        if re.search(r"\b(Money|Decimal)\b", each.source) and not each.path.startswith(("payments/chapa/", "config/"))
    )


def outside_the_vendor() -> tuple[Module, ...]:
    """The other places that speak HTTP do it by `core.punctual`: to addresses that were looked at, and to providers."""
    guarded = ("core/punctual.py", "notifications/webhooks/post.py", "users/openid/transport.py")
    return tuple(each for each in modules() if not each.path.startswith(("payments/chapa/", *guarded)))


RULES: list[tuple[Rule, Callable[[], tuple[Module, ...]], tuple[str, str]]] = [
    (no_signals, modules, ("orders/x.py", "from django.db.models.signals import post_save")),
    (no_signals, modules, ("orders/x.py", "from django.dispatch import receiver")),
    (one_client, outside_the_vendor, ("orders/x.py", "import requests")),
    (one_client, outside_the_vendor, ("orders/x.py", "from urllib import request")),
    (one_publisher, modules, ("orders/x.py", "settle.delay(tx_ref='x')")),
    (one_publisher, modules, ("orders/x.py", "app.send_task('x')")),
    (no_long_wait_in_a_queue, modules, ("orders/x.py", "task.apply_async(countdown=61)")),
    (no_long_wait_in_a_queue, modules, ("orders/x.py", "raise self.retry(countdown=pause)")),
    (no_long_wait_in_a_queue, modules, ("orders/x.py", "task.apply_async(eta=tomorrow)")),
    (no_float, in_money_code, ("orders/x.py", "total = Decimal(1) * 1.15")),
    (no_float, in_money_code, ("orders/x.py", "total: float = Decimal(1)")),
    (durable_by_name, modules, ("orders/x.py", "with transaction.atomic(durable=True): pass")),
    (nothing_dangerous, modules, ("orders/x.py", "mark_safe(name)")),
    (nothing_dangerous, modules, ("orders/x.py", "csrf_exempt(api.cancel)")),
    (nothing_dangerous, modules, ("orders/x.py", "rows.order_by(request.GET['ordering'])")),
    (nothing_dangerous, modules, ("orders/x.py", "try:\n    f()\nexcept Exception:\n    pass")),
    (named_for_what_happens, modules, ("orders/utils.py", "")),
    (reads_in_one_sitting, modules, ("orders/x.py", "x = 1\n" * 401)),
    (keyword_only_and_explained, modules, ("orders/lifecycle.py", 'def cancel(number, actor) -> None:\n    """It."""')),
    (
        keyword_only_and_explained,
        modules,
        ("orders/lifecycle.py", "def cancel(*, number: str) -> None:\n    a()\n    b()"),
    ),
    (explained, modules, ("orders/lifecycle.py", "x = 1")),
]


@pytest.mark.parametrize(("rule", "where"), {rule: where for rule, where, _ in RULES}.items())
def test_our_code_keeps_the_rule(rule, where):
    assert [found for module in where() for found in rule(module)] == []


@pytest.mark.parametrize(("rule", "bad"), [(rule, bad) for rule, _, bad in RULES])
def test_a_bad_example_is_found(rule, bad):
    assert list(rule(module_of(*bad)))


def test_the_rules_look_at_the_modules_they_are_for():
    assert {"orders", "payments", "products", "core"} <= set(APPS)
    looked_at = {each.path for each in in_money_code()}
    assert {"core/money.py", "orders/placement.py", "payments/settlement.py", "products/models.py"} <= looked_at
    here = {each.path for each in modules()}
    assert {f"{app}/{name}.py" for app, name in [("orders", "placement"), ("payments", "settlement")]} <= here


# --- Models ----------------------------------------------------------------------------------------------------------

OUR_MODELS = [model for model in apps.get_models() if model._meta.app_label in APPS]


def test_no_column_is_a_float_and_every_amount_has_two_places():
    for model in OUR_MODELS:
        for field in model._meta.concrete_fields:
            assert not isinstance(field, models.FloatField), field
            if isinstance(field, models.DecimalField):
                digits = 5 if field.name.endswith("_rate") else 12  # percent
                assert (field.max_digits, field.decimal_places) == (digits, 2), field


def test_nobody_looks_up_into_an_app_above():
    for model in OUR_MODELS:
        for field in model._meta.concrete_fields:
            if field.is_relation and field.related_model._meta.app_label != model._meta.app_label:
                assert field.remote_field.hidden, f'{field} needs related_name="+"'


def test_what_was_paid_for_is_never_deleted_along():
    for model in OUR_MODELS:
        for field in model._meta.concrete_fields:
            if field.is_relation:
                assert field.remote_field.on_delete is not models.CASCADE, field


def test_every_constraint_is_named_as_a_sentence():
    for model in OUR_MODELS:
        for constraint in model._meta.constraints:
            assert re.fullmatch(r"[a-z]+(_[a-z]+){2,}", constraint.name), constraint.name


@pytest.mark.django_db
def test_every_change_of_a_model_has_its_migration():
    call_command("makemigrations", check=True, dry_run=True, stdout=io.StringIO())


# --- Tests -----------------------------------------------------------------------------------------------------------


def test_a_race_is_run_on_committed_rows():
    """Inside a test's own transaction other connections see nothing, and every lock is a lock against oneself."""
    for module in modules("tests"):
        if module.stem == "conftest" or not module.stem.startswith("test_"):
            continue
        races = module.path.startswith("tests/races/") or re.search(r"\bin_threads\b|threads import", module.source)
        if races and "django_db" in module.source:
            assert "django_db(transaction=True" in module.source, module.path


def test_nothing_is_patched_by_dotted_path_but_constants():
    for module in modules("tests"):
        for name, call in module.calls():
            patches = name == "patch" and isinstance(call.func, ast.Name | ast.Attribute)
            if patches and call.args and isinstance(call.args[0], ast.Constant):
                assert str(call.args[0].value).startswith("/"), module.at(call)  # the API's PATCH


# --- Files -----------------------------------------------------------------------------------------------------------

# Put together, so that this file is not found by itself.
STRANGE = {
    "a path of somebody's machine": "|".join(["/wor" + r"k/\w", "/roo" + r"t/\w", "/Use" + r"rs/\w", r"/home/\w+/"]),
    "where packages come from": "--(extra-)?index" + "-url|--find" + "-links|--trusted" + "-host|artifac" + "tory",
    # A made-up one counts up.
    "a live key": "CHASECK" + "-(?!0123456789)[A-Za-z0-9]{16,}",
    "a private key": "-----BEGIN [A-Z ]*PRIVATE " + "KEY-----",
}


@pytest.mark.parametrize("what", STRANGE)
def test_no_file_holds(what):
    pattern = re.compile(STRANGE[what])
    found = []
    for file in kept_files():
        if file.suffix in {".png", ".jpg", ".ico", ".woff2", ".gz", ".pdf"}:
            continue
        for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if pattern.search(line):
                found.append(f"{file.relative_to(ROOT)}:{number}")

    assert found == []


def test_the_lock_files_name_no_address_and_every_package_has_its_hash():
    locks = sorted((ROOT / "requirements").glob("*.txt"))
    assert locks
    for lock in locks:
        text = lock.read_text(encoding="utf-8")
        assert "://" not in text, lock.name
        for package in re.split(r"\n(?=[A-Za-z0-9])", text):
            if re.match(r"[A-Za-z0-9][\w.-]*(\[[\w,-]+\])?==", package):
                assert "--hash=sha256:" in package, package.splitlines()[0]


def test_no_lock_brings_the_driver_that_would_replace_ours():
    for lock in sorted((ROOT / "requirements").glob("*.txt")):
        assert not re.search(r"^psycopg(-\w+)?==", lock.read_text(encoding="utf-8"), re.MULTILINE), lock.name


def test_the_generated_documents_are_fresh():
    call_command("write_docs", check=True, stdout=io.StringIO())
