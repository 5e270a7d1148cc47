from django.urls import path

from products import api

urlpatterns = [
    path("categories/", api.Categories.as_view()),
    path("products/", api.Products.as_view()),
    path("products/<slug:slug>/", api.ProductDetail.as_view()),
]
