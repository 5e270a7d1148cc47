"""Chapa's documented answers, word for word where they are documented."""

from __future__ import annotations

from typing import Any

CHECKOUT_URL = "https://checkout.chapa.co/checkout/payment/V38JyhpTygC9QimkJrdful9oEjih0heIv53eJ1MsJS6xG"


def initialized() -> dict[str, Any]:
    return {"message": "Hosted Link", "status": "success", "data": {"checkout_url": CHECKOUT_URL}}


def verified() -> dict[str, Any]:
    return {
        "message": "Payment details",
        "status": "success",
        "data": {
            "first_name": "Bilen", "last_name": "Gizachew", "email": "abebech_bekele@gmail.com", "currency": "ETB",
            "amount": 100, "charge": 3.5, "mode": "test", "method": "test", "type": "API", "status": "success",
            "reference": "6jnheVKQEmy", "tx_ref": "chewatatest-6669",
            "customization": {
                "title": "Payment for my favourite merchant", "description": "I love online payments", "logo": None,
            },
            "meta": None, "created_at": "2023-02-02T07:05:23.000000Z", "updated_at": "2023-02-02T07:05:23.000000Z",
        },
    }  # fmt: skip


def cancelled() -> dict[str, Any]:
    return {
        "message": "Checkout link expired successfully",
        "status": "success",
        "data": {
            "tx_ref": "tx-456-sdf", "amount": 5, "currency": "ETB", "created_at": "2025-10-22T09:10:03.000000Z",
            "updated_at": "2025-10-22T09:10:21.000000Z",
        },
    }  # fmt: skip


def refunded() -> dict[str, Any]:
    return {
        "message": "Refund initiated successfully. Processing time: 1-3 business days",
        "status": "success",
        "data": {
            "id": 730, "chapa_reference": "APezQ1KKswbb", "bank_reference": "BLC9JI3G21", "amount": "100.00",
            "ref": "MERC-DIS-REF-s223VGvQFJk", "currency": "ETB", "status": "Refund Initiated", "reason": None,
            "merchant_reference": "OTAS379IOSHJ", "created_at": "2024-12-13T17:33:27.000000Z",
            "updated_at": "2024-12-13T17:33:27.000000Z",
        },
    }  # fmt: skip


def refund_verified() -> dict[str, Any]:
    return {
        "message": "Refund verified successfully",
        "status": "success",
        "data": {
            "amount": 20, "currency": "ETB", "ref_id": "MERC-DIS-REF-HnIITWNXjNB",
            "payment_reference": "CGRMuqd8ECClEiS", "status": "initiated",
        },
    }  # fmt: skip


def listed() -> dict[str, Any]:
    return {
        "message": "Transactions retrieved successfully",
        "status": "success",
        "data": {
            "transactions": [
                {
                    "status": "pending", "ref_id": "VcEu3Hf55JU", "type": "Payment Link",
                    "created_at": "2024-07-27T02:22:46.000000Z", "currency": "ETB", "amount": "12.000",
                    "charge": "0.000", "trans_id": None, "payment_method": "card",
                    "customer": {"id": 1301688, "email": None, "first_name": None, "last_name": None, "mobile": None},
                }
            ],
            "pagination": {
                "per_page": 10, "current_page": 1, "first_page_url": "https://api.chapa.co/v1/transactions?page=1",
                "next_page_url": "https://api.chapa.co/v1/transactions?page=2", "prev_page_url": None,
            },
        },
    }  # fmt: skip


def logged() -> dict[str, Any]:
    return {
        "message": "Transaction events fetched",
        "status": "success",
        "data": [
            {
                "item": 23445, "message": "Attempted to make payment with telebirr USSD", "type": "log",
                "created_at": "2024-07-23T07:31:32.000000Z", "updated_at": "2024-07-23T07:31:32.000000Z",
            },
            {
                "item": 23567, "message": "Transaction is successful with TELEBIRR - RSLT", "type": "log",
                "created_at": "2024-07-23T07:31:55.000000Z", "updated_at": "2024-07-23T07:31:55.000000Z",
            },
        ],
    }  # fmt: skip


def banked() -> dict[str, Any]:
    return {
        "message": "Banks retrieved",
        "data": [
            {
                "id": 130, "slug": "abay_bank", "swift": "ABAYETAA", "name": "Abay Bank", "acct_length": 16,
                "country_id": 1, "is_mobilemoney": None, "is_active": 1, "is_rtgs": 1, "active": 1, "is_24hrs": None,
                "created_at": "2023-01-24T04:28:30.000000Z", "updated_at": "2024-08-03T08:10:24.000000Z",
                "currency": "ETB",
            },
            {
                "id": "855", "slug": "telebirr", "swift": "TELEBIRR", "name": "telebirr", "acct_length": 10,
                "is_mobilemoney": 1, "is_active": True, "currency": "ETB",
            },
            {"id": 1, "slug": "gone", "name": "Gone Bank", "is_active": 0},
            {"id": 2, "slug": "gone_too", "name": "Gone Too Bank", "active": False},
        ],
    }  # fmt: skip


def failed(message: object, status: object = "failed") -> dict[str, Any]:
    return {"message": message, "status": status, "data": None}


SAMPLES: dict[str, Any] = {
    "open_checkout": initialized, "verify": verified, "cancel": cancelled, "refund": refunded,
    "verify_refund": refund_verified, "list_transactions": listed, "events": logged, "banks": banked,
}  # fmt: skip
