from django.urls import path

from bench.bare import views

urlpatterns = [
    path("api/v1/orders/", views.Orders.as_view()),
    path("api/v1/orders/<str:number>/", views.OneOrder.as_view()),
    path("api/v1/payments/chapa/webhook/", views.webhook),
]
