"""/api/v1/reconciliation/…"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.utils.timezone import now
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from core import edge, problems
from core.openapi import refuses
from core.paging import NewestFirst
from orders import numbers
from orders.api import Endpoint, principal_of
from payments import applying, checkout, locking, nightly, providers, refunds, resolutions
from payments.filters import DiscrepancyFilter
from payments.models import Discrepancy, ReconciliationRun, Resolution
from payments.models.reconciliation import DISCREPANCY_KINDS, DISCREPANCY_STATUSES
from payments.staff_serializers import (
    DiscrepancyOut,
    ResolutionIn,
    RunIn,
    RunOut,
    represent_discrepancy,
    represent_run,
)
from users import sessions
from users.roles import may
from users.tokens import SignedInRecently


class _Pages(NewestFirst):
    ordering = ("-started_at", "-id")


class Runs(Endpoint):
    limits = "staff"
    permission_classes = [may("payments.reconcile")]

    @extend_schema(responses={200: RunOut(many=True)}, summary="Runs, newest first (finance)")
    def get(self, request: Request) -> Response:
        pages = _Pages()
        found: list[Any] = pages.paginate_queryset(ReconciliationRun.objects.all(), request, view=self) or []
        return pages.get_paginated_response([represent_run(run) for run in found])

    @extend_schema(
        request=RunIn, responses={202: RunOut}, summary="Have the worker compare Chapa's list with our books (finance)"
    )
    @refuses(nightly.RunUnderWay)
    def post(self, request: Request) -> Response:
        at = now()
        given = edge.read(RunIn(data=request.data))
        since, until = (given["since"], given["until"]) if given else nightly.period(at=at)
        run = nightly.start(since=since, until=until, actor=principal_of(request).actor, at=at)
        return Response(represent_run(run), status=HTTPStatus.ACCEPTED)


class _Opened(NewestFirst):
    ordering = ("-opened_at", "-id")


class Discrepancies(Endpoint):
    limits = "staff"
    permission_classes = [may("payments.reconcile")]

    @extend_schema(
        responses={200: DiscrepancyOut(many=True)},
        parameters=[
            OpenApiParameter("status", str, enum=[value for value, _ in DISCREPANCY_STATUSES]),
            OpenApiParameter("kind", str, enum=[value for value, _ in DISCREPANCY_KINDS]),
        ],
        summary="What does not agree, newest first (finance)",
    )
    def get(self, request: Request) -> Response:
        wanted = DiscrepancyFilter(request.GET, queryset=Discrepancy.objects.select_related("order", "payment"))
        if not wanted.is_valid():
            raise ValidationError(dict(wanted.errors))
        pages = _Opened()
        found: list[Any] = pages.paginate_queryset(wanted.qs, request, view=self) or []
        possible = resolutions.possible_of(found)
        return pages.get_paginated_response(
            [represent_discrepancy(discrepancy, possible=possible[discrepancy.pk]) for discrepancy in found]
        )


class DiscrepancyResolution(Endpoint):
    limits = "staff"
    permission_classes = [may("payments.reconcile")]

    @extend_schema(
        request=ResolutionIn,
        responses={200: DiscrepancyOut},
        summary="Decide about a discrepancy, and say why (finance)",
    )
    @refuses(
        resolutions.DiscrepancyNotFound,
        resolutions.DiscrepancyResolved,
        resolutions.ResolutionNotPossible,
        resolutions.NoSuchAttempt,
        sessions.AuthenticationTooOld,
        problems.NotAllowed,
        refunds.PaymentNotRefundable,
        refunds.RefundExceedsCaptured,
        locking.PaymentMoved,
        applying.NoSuchOrder,
        applying.SameOrder,
        checkout.OrderNotPayable,
        applying.AnotherCustomersOrder,
        applying.CurrencyDiffers,
        applying.ModeDiffers,
        applying.PaymentDisputed,
        applying.TooLittleUnapplied,
        applying.RefundUnderWay,
    )
    def post(self, request: Request, discrepancy_id: int) -> Response:
        given = edge.read(ResolutionIn(data=request.data))
        resolution = Resolution(given["resolution"])
        if resolution in {Resolution.REFUND, Resolution.APPLIED}:  # money leaves, or goods do, as by any other refund
            SignedInRecently().has_permission(request, self)
        target = None
        if resolution is Resolution.APPLIED:
            target = applying.Target(
                number=numbers.meant(given["order"]),
                mode=providers.chapa_for_web().mode,
                is_anothers=given["another_customer"],
            )
        discrepancy = resolutions.resolve(
            discrepancy_id=discrepancy_id,
            resolution=resolution,
            reason=given["reason"],
            tx_ref=given["tx_ref"],
            target=target,
            actor=principal_of(request).actor,
            at=now(),
        )
        return Response(represent_discrepancy(discrepancy, possible=resolutions.possible(discrepancy)))
