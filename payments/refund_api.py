"""/api/v1/payments/{id}/refunds/ and /api/v1/refunds/…"""

from __future__ import annotations

from http import HTTPStatus
from uuid import UUID

from django.http import HttpResponse
from django.utils.timezone import now
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core import edge
from core.idempotency import Answer
from core.money import Currency, Money
from core.openapi import IDEMPOTENCY_KEY, refuses
from orders import access
from orders.api import Endpoint, principal_of, user_of
from payments import locking, refunds
from payments.models import Payment, Refund
from payments.staff_serializers import ApprovalIn, ReasonIn, RefundIn, RefundOut, represent_refund
from users.roles import may
from users.tokens import SignedInRecently


def _render(refund: Refund) -> Answer:
    return Answer(HTTPStatus.CREATED, edge.to_json(represent_refund(refund)))


def _currency_of(payment_id: UUID) -> Currency:
    """:raises PaymentNotFound:"""
    payment = Payment.objects.only("currency", "captured_currency").filter(pk=payment_id).first()
    if payment is None:
        raise refunds.PaymentNotFound
    return Currency(payment.captured_currency or payment.currency)


class PaymentRefunds(Endpoint):
    limits = "staff"
    permission_classes = [may("payments.request_refund"), SignedInRecently]

    @extend_schema(
        request=RefundIn,
        responses={201: RefundOut},
        parameters=[IDEMPOTENCY_KEY],
        summary="Ask for a refund, of all that is left unless an amount is given (finance)",
    )
    @refuses(
        refunds.PaymentNotFound,
        refunds.PaymentNotRefundable,
        refunds.RefundCurrencyMismatch,
        refunds.RefundExceedsCaptured,
        locking.PaymentMoved,
    )
    def post(self, request: Request, payment_id: UUID) -> HttpResponse:
        edge.idempotency_key(request)
        given = edge.read(RefundIn(data=request.data))
        once = edge.once(
            request=request,
            owner=access.caller_of(user=user_of(request), email="", phone_number=""),
            render=_render,
        )

        def act() -> Answer:
            amount = given.get("amount")
            return _render(
                refunds.request(
                    payment_id=payment_id,
                    # In the currency in which the money came: there is no other in which it could go back.
                    amount=None if amount is None else Money(amount, _currency_of(payment_id)),
                    reason=given["reason"],
                    actor=principal_of(request).actor,
                    once=once,
                    at=now(),
                )
            )

        return edge.answer_once(once=once, act=act)


class RefundDetail(Endpoint):
    limits = "staff"
    permission_classes = [may("payments.view_refund")]

    @extend_schema(responses={200: RefundOut}, summary="One refund (finance)")
    @refuses(refunds.RefundNotFound)
    def get(self, request: Request, refund_id: UUID) -> Response:  # noqa: ARG002 - Django's signature
        return Response(represent_refund(refunds.find(refund_id=refund_id)))


class RefundApproval(Endpoint):
    limits = "staff"
    permission_classes = [may("payments.approve_refund"), SignedInRecently]

    @extend_schema(
        request=ApprovalIn, responses={200: RefundOut}, summary="Let a refund happen that somebody else asked for"
    )
    @refuses(refunds.RefundNotFound, refunds.RefundNotAwaitingApproval, refunds.RefundOwnApproval, locking.PaymentMoved)
    def post(self, request: Request, refund_id: UUID) -> Response:
        edge.read(ApprovalIn(data=request.data))
        return Response(
            represent_refund(refunds.approve(refund_id=refund_id, actor=principal_of(request).actor, at=now()))
        )


class RefundRejection(Endpoint):
    limits = "staff"
    permission_classes = [may("payments.approve_refund"), SignedInRecently]

    @extend_schema(request=ReasonIn, responses={200: RefundOut}, summary="Forbid a refund that somebody else asked for")
    @refuses(refunds.RefundNotFound, refunds.RefundNotAwaitingApproval, refunds.RefundOwnApproval, locking.PaymentMoved)
    def post(self, request: Request, refund_id: UUID) -> Response:
        given = edge.read(ReasonIn(data=request.data))
        refund = refunds.reject(
            refund_id=refund_id, actor=principal_of(request).actor, reason=given["reason"], at=now()
        )
        return Response(represent_refund(refund))
