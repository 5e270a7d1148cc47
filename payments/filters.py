"""`GET /reconciliation/discrepancies/?status=&kind=`"""

from __future__ import annotations

import django_filters

from payments.models import Discrepancy
from payments.models.reconciliation import DISCREPANCY_KINDS, DISCREPANCY_STATUSES


class DiscrepancyFilter(django_filters.FilterSet):
    status = django_filters.ChoiceFilter(choices=DISCREPANCY_STATUSES)
    kind = django_filters.ChoiceFilter(choices=DISCREPANCY_KINDS)

    class Meta:
        model = Discrepancy
        fields: list[str] = []
