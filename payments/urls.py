from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from payments import api, reconciliation_api, refund_api, timeline_api

urlpatterns = [
    path("orders/<order_number:number>/payments/", api.OrderPayments.as_view()),
    path("orders/<order_number:number>/timeline/", timeline_api.OrderTimeline.as_view()),
    path("orders/<order_number:number>/stream/", api.OrderStream.as_view()),
    path("payments/<uuid:payment_id>/refunds/", refund_api.PaymentRefunds.as_view()),
    path("refunds/<uuid:refund_id>/", refund_api.RefundDetail.as_view()),
    path("refunds/<uuid:refund_id>/approve/", refund_api.RefundApproval.as_view()),
    path("refunds/<uuid:refund_id>/reject/", refund_api.RefundRejection.as_view()),
    path("reconciliation/runs/", reconciliation_api.Runs.as_view()),
    path("reconciliation/discrepancies/", reconciliation_api.Discrepancies.as_view()),
    path(
        "reconciliation/discrepancies/<int:discrepancy_id>/resolve/", reconciliation_api.DiscrepancyResolution.as_view()
    ),
    path("payments/chapa/webhook/", csrf_exempt(api.chapa_webhook)),  # its signature is its proof
    path("payments/chapa/callback/", api.chapa_callback),
]
