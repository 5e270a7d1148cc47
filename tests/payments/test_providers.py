from __future__ import annotations

import pytest
from django.db import transaction

from payments import providers
from payments.gateway import Mode
from tests import threads

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _afresh():
    yield
    providers.forget_shared()


def test_chapa_is_never_asked_inside_a_transaction():
    with transaction.atomic(), pytest.raises(RuntimeError, match="inside a transaction"):
        providers.chapa().verify(tx_ref="nx-any")


def test_a_process_has_one_breaker_however_many_ask_first():
    shared = threads.run([providers._resilience] * 16)

    assert len({id(each) for each in shared}) == 1


def test_the_key_decides_the_mode(settings):
    assert providers.chapa().mode is Mode.TEST
    settings.CHAPA_SECRET_KEY = "CHASECK-0123456789abcdef0123456789abcdef"
    assert providers.chapa_for_web().mode is Mode.LIVE
