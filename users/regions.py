"""Where in Ethiopia somebody lives: twelve regional states and two chartered cities.

As they are since 19 August 2023, when South Ethiopia and Central Ethiopia took the place of the Southern Nations,
Nationalities, and Peoples' Region (https://en.wikipedia.org/wiki/Regions_of_Ethiopia). The codes are ours and never
renamed: ISO 3166-2:ET has one for the region that is gone, and none for the two that came.
"""

from __future__ import annotations

from typing import Final

REGIONS: Final[dict[str, dict[str, str]]] = {
    "addis_ababa": {"en": "Addis Ababa", "am": "አዲስ አበባ"},
    "afar": {"en": "Afar", "am": "አፋር"},
    "amhara": {"en": "Amhara", "am": "አማራ"},
    "benishangul_gumuz": {"en": "Benishangul-Gumuz", "am": "ቤኒሻንጉል ጉሙዝ"},
    "central_ethiopia": {"en": "Central Ethiopia", "am": "ማዕከላዊ ኢትዮጵያ"},
    "dire_dawa": {"en": "Dire Dawa", "am": "ድሬዳዋ"},
    "gambela": {"en": "Gambela", "am": "ጋምቤላ"},
    "harari": {"en": "Harari", "am": "ሐረሪ"},
    "oromia": {"en": "Oromia", "am": "ኦሮሚያ"},
    "sidama": {"en": "Sidama", "am": "ሲዳማ"},
    "somali": {"en": "Somali", "am": "ሶማሌ"},
    "south_ethiopia": {"en": "South Ethiopia", "am": "ደቡብ ኢትዮጵያ"},
    "south_west_ethiopia": {"en": "South West Ethiopia", "am": "ደቡብ ምዕራብ ኢትዮጵያ"},
    "tigray": {"en": "Tigray", "am": "ትግራይ"},
}
"""Code → its name in the languages that we speak."""
CHARTERED_CITIES: Final = frozenset({"addis_ababa", "dire_dawa"})
CHOICES: Final = [(code, names["en"]) for code, names in REGIONS.items()]


def name_of(region: str, *, language: str) -> str:
    """What a region is called; in English where we do not speak the language."""
    names = REGIONS[region]
    return names.get(language, names["en"])
