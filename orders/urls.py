from django.urls import path, register_converter

from orders import api
from orders.numbers import OrderNumberConverter

register_converter(OrderNumberConverter, "order_number")

urlpatterns = [
    path("delivery-options/", api.DeliveryOptions.as_view()),
    path("orders/", api.Orders.as_view()),
    path("orders/quote/", api.OrderQuote.as_view()),
    path("orders/<order_number:number>/", api.OrderDetail.as_view()),
    path("orders/<order_number:number>/cancel/", api.OrderCancel.as_view()),
    path("orders/<order_number:number>/fulfil/", api.OrderFulfil.as_view()),
]
