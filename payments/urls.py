from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from payments import api

urlpatterns = [
    path("orders/<order_number:number>/payments/", api.OrderPayments.as_view()),
    path("payments/chapa/webhook/", csrf_exempt(api.chapa_webhook)),  # its signature is its proof
    path("payments/chapa/callback/", api.chapa_callback),
]
