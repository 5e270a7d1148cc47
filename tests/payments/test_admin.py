from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.timezone import now

from core.models import Event
from payments import settlement
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)


def test_staff_have_chapa_asked_about_what_is_not_settled(payment, gateway):
    settled = factories.pending_payment(order=factories.order(), gateway=gateway)
    gateway.pay(settled)
    settlement.settle(tx_ref=settled.tx_ref, gateway=gateway, at=now())
    client = Client()
    client.force_login(factories.user(is_staff=True, is_superuser=True))

    answer = client.post(
        reverse("admin:payments_payment_changelist"),
        {"action": "ask_chapa_now", "_selected_action": [str(payment.pk), str(settled.pk)]},
        follow=True,
    )

    assert answer.status_code == 200
    assert "1 payments are being asked about" in answer.content.decode()
    assert [event.payload for event in Event.objects.filter(topic="payment.hinted")] == [{"tx_ref": payment.tx_ref}]
