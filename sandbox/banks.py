"""The banks that `/banks` lists: id, slug, swift, name, account length, mobile money, RTGS, open all day."""

from typing import Any

_ROWS: tuple[tuple[int, str, str, str, int, int | None, int | None, int | None], ...] = (
    (130, "abay_bank", "ABAYETAA", "Abay Bank", 16, None, 1, None),
    (772, "addis_int_bank", "ABSCETAA", "Addis International Bank", 15, None, 1, 1),
    (207, "ahadu_bank", "AHUUETAA", "Ahadu Bank", 10, None, 1, 1),
    (656, "awash_bank", "AWINETAA", "Awash Bank", 14, None, 0, 0),
    (347, "boa_bank", "ABYSETAA", "Bank of Abyssinia", 8, None, 0, 0),
    (571, "berhan_bank", "BERHETAA", "Berhan Bank", 13, None, 1, 1),
    (128, "cbebirr", "CBETETAA", "CBEBirr", 10, 1, None, 1),
    (946, "cbe_bank", "CBETETAA", "Commercial Bank of Ethiopia (CBE)", 13, None, None, 1),
    (893, "ebirr", "CBORETA", "Coopay-Ebirr", 10, 1, None, 1),
    (880, "dashen_bank", "DASHETAA", "Dashen Bank", 13, None, 0, 0),
    (301, "global_bank", "DEGAETAA", "Global Bank Ethiopia", 13, None, 1, 1),
    (534, "hibret_bank", "UNTDETAA", "Hibret Bank", 16, None, 0, 0),
    (315, "anbesa_bank", "LIBSETAA", "Lion International Bank", 9, None, 1, 1),
    (266, "mpesa", "MPESA", "M-Pesa", 10, 1, None, 1),
    (979, "nib_bank", "NIBIETAA", "Nib International Bank", 13, None, 1, 1),
    (423, "oromia_bank", "ORIRETAA", "Oromia International Bank", 12, None, 1, 1),
    (855, "telebirr", "TELEBIRR", "telebirr", 10, 1, None, 1),
    (472, "wegagen_bank", "WEGAETAA", "Wegagen Bank", 13, None, 1, 0),
    (687, "zemen_bank", "ZEMEETAA", "Zemen Bank", 16, None, 1, 0),
)


def listing() -> list[dict[str, Any]]:
    """`data` of `/banks`, with flags as 1, 0 or null."""
    return [
        {
            "id": bank_id,
            "slug": slug,
            "swift": swift,
            "name": name,
            "acct_length": length,
            "country_id": 1,
            "is_mobilemoney": mobile,
            "is_active": 1,
            "is_rtgs": rtgs,
            "active": 1,
            "is_24hrs": all_day,
            "created_at": "2023-01-24T04:28:30.000000Z",
            "updated_at": "2024-08-03T08:10:24.000000Z",
            "currency": "ETB",
        }
        for bank_id, slug, swift, name, length, mobile, rtgs, all_day in _ROWS
    ]
