"""A code from a telephone: made from two halves, counted once, limited, and recovered without it."""

from __future__ import annotations

import threading
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection, transaction
from django.utils.timezone import now
from rest_framework_simplejwt.tokens import AccessToken

from core.models import AuditEntry, Event
from tests import factories, second_factors, staff
from tests.threads import when_somebody_waits_for_a_lock
from users import passwords, second_factor, sessions
from users.limits import TriedTooOften
from users.models import RecoveryCode, SecondFactor
from users.roles import Role
from users.second_factor import SecondFactorInvalid, SecondFactorKnown, SecondFactorNotSetUp, SecondFactorOwn

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _wanted(settings: Any) -> None:
    settings.STAFF_SECOND_FACTOR = True


@pytest.fixture
def person():
    return staff.person(Role.FINANCE)


def verify(user, code, *, at=None):
    return second_factor.verify(user=user, code=code, at=at or now())


class TestTheCode:
    def test_of_now_and_of_half_a_minute_before_and_after_is_good(self, person):
        second_factors.given(person)
        at = now()

        for off in (-30, 0, 30):
            verify(person, second_factors.code(person, at=at + timedelta(seconds=off)), at=at)

    def test_of_another_time_is_not(self, person):
        second_factors.given(person)
        at = now()

        for off in (-90, 90):
            with pytest.raises(SecondFactorInvalid):
                verify(person, second_factors.code(person, at=at + timedelta(seconds=off)), at=at)

    def test_counts_once(self, person):
        second_factors.given(person)
        at = now()
        verify(person, second_factors.code(person, at=at), at=at)

        with pytest.raises(SecondFactorInvalid):
            verify(person, second_factors.code(person, at=at), at=at)

    def test_of_before_the_last_one_is_not_good_any_more(self, person):
        second_factors.given(person)
        at = now()
        verify(person, second_factors.code(person, at=at), at=at)

        with pytest.raises(SecondFactorInvalid):
            verify(person, second_factors.code(person, at=at - timedelta(seconds=30)), at=at)

    def test_by_which_it_was_set_up_counts_as_used(self, person):
        seed, at = second_factor.new_seed(), now()
        second_factor.set_up(user=person, seed=seed, code=second_factors.code_of(seed, at=at), at=at)

        with pytest.raises(SecondFactorInvalid):
            verify(person, second_factors.code_of(seed, at=at), at=at)

    @pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦", "000000\n", "'; --", "0" * 500])
    def test_that_is_none_is_refused(self, person, code):
        second_factors.given(person)

        with pytest.raises(SecondFactorInvalid):
            verify(person, code)

    def test_of_somebody_else_is_not_good(self, person):
        other = staff.person(Role.FINANCE)
        second_factors.given(person)
        second_factors.given(other)

        with pytest.raises(SecondFactorInvalid):
            verify(person, second_factors.code(other))

    def test_is_tried_ten_times_in_a_quarter_of_an_hour_and_no_more(self, person):
        second_factors.given(person)
        for _ in range(9):
            with pytest.raises(SecondFactorInvalid):
                verify(person, "000000" if second_factors.code(person) != "000000" else "000001")

        with pytest.raises(TriedTooOften):
            verify(person, second_factors.code(person))


class TestTwoRequestsWithOneCode:
    pytestmark = pytest.mark.django_db(transaction=True)

    def test_let_one_of_them_in(self, person, in_threads):
        second_factors.given(person)
        at = now()
        code = second_factors.code(person, at=at)

        came = in_threads([lambda: verify(person, code, at=at)] * 4)

        assert sorted(type(each).__name__ for each in came) == ["SecondFactor", *["SecondFactorInvalid"] * 3]

    def test_the_second_waits_for_the_first_and_sees_what_it_used(self, person, in_threads):
        """Gated: the row is held while both ask, so that neither has seen what the other writes."""
        second_factors.given(person)
        at = now()
        code = second_factors.code(person, at=at)
        came = []

        with transaction.atomic():
            SecondFactor.objects.select_for_update().get(user=person)
            both_wait = threading.Event()
            watcher = when_somebody_waits_for_a_lock(both_wait.set)
            others = threading.Thread(target=lambda: came.extend(in_threads([lambda: verify(person, code, at=at)] * 2)))
            others.start()
            assert both_wait.wait(60)
        others.join(60)
        watcher.join(60)

        assert sorted(type(each).__name__ for each in came) == ["SecondFactor", "SecondFactorInvalid"]

    def test_two_enrolments_give_one_second_factor(self, person, in_threads):
        at = now()
        seeds = [second_factor.new_seed() for _ in range(2)]

        came = in_threads(
            [
                lambda seed=seed: second_factor.set_up(
                    user=person, seed=seed, code=second_factors.code_of(seed, at=at), at=at
                )
                for seed in seeds
            ]
        )

        assert sum(isinstance(each, SecondFactorKnown) for each in came) == 1
        assert SecondFactor.objects.count() == 1
        assert RecoveryCode.objects.count() == 10


class TestRecoveryCodes:
    def test_are_ten_of_which_each_is_good_once(self, person):
        codes = second_factors.given(person)
        assert len(set(codes)) == 10

        verify(person, codes[0])
        with pytest.raises(SecondFactorInvalid):
            verify(person, codes[0])
        verify(person, codes[1].upper().replace("-", " "))

        factor = second_factor.of(person)
        assert factor is not None
        assert second_factor.codes_left(factor=factor) == 8
        assert AuditEntry.objects.filter(verb="second_factor.recover", actor=f"staff:{person.pk}").count() == 2

    def test_are_kept_as_keyed_hashes_alone(self, person):
        codes = second_factors.given(person)

        kept = dumped("users_recoverycode") + dumped("users_secondfactor") + dumped("core_auditentry")
        assert not any(code in kept or code.replace("-", "") in kept for code in codes)

    def test_of_somebody_else_are_not_good(self, person):
        other = staff.person(Role.FINANCE)
        codes = second_factors.given(other)
        second_factors.given(person)

        with pytest.raises(SecondFactorInvalid):
            verify(person, codes[0])


class TestTheSecret:
    def test_is_not_in_the_database(self, person):
        second_factors.given(person)
        seed = SecondFactor.objects.get().seed
        shown = second_factor.enrolment(user=person, seed=seed)

        secret = second_factor._secret(seed)
        assert shown.key not in dumped("users_secondfactor")
        assert secret.hex() not in dumped("users_secondfactor")

    def test_needs_the_servers_key(self, person, settings):
        second_factors.given(person)
        code = second_factors.code(person)
        settings.SECOND_FACTOR_KEY = "another-server-0123456789-0123456789-0123"

        with pytest.raises(SecondFactorInvalid):
            verify(person, code)

    def test_outlives_another_secret_key_where_it_has_its_own(self, person, settings):
        settings.SECOND_FACTOR_KEY = "the-servers-half-0123456789-0123456789-01"
        second_factors.given(person)
        settings.SECRET_KEY = "another-secret-key-0123456789-0123456789-012"

        verify(person, second_factors.code(person))

    def test_is_shown_as_authenticator_apps_read_it(self, person, settings):
        settings.MERCHANT_NAME = "Buna: & Shai"
        shown = second_factor.enrolment(user=person, seed="00" * 20)

        assert shown.address.startswith("otpauth://totp/Buna%20%26%20Shai%3A")
        assert f"secret={shown.key}&issuer=Buna%20%26%20Shai&algorithm=SHA1&digits=6&period=30" in shown.address
        assert len(shown.key) == 32


class TestReset:
    def test_takes_it_away_says_so_and_writes_to_its_owner(self, person):
        second_factors.given(person)

        second_factor.reset(user_id=person.pk, reason="telephone lost", actor="staff:1")

        assert not SecondFactor.objects.exists()
        assert not RecoveryCode.objects.exists()
        entry = AuditEntry.objects.get(verb="second_factor.reset")
        assert (entry.actor, entry.subject_id, entry.reason) == ("staff:1", str(person.pk), "telephone lost")
        assert Event.objects.get(topic="second_factor.reset").payload == {"user_id": person.pk}
        with pytest.raises(SecondFactorNotSetUp):
            second_factor.reset(user_id=person.pk, reason="again", actor="staff:1")

    def test_is_never_of_ones_own(self, person):
        second_factors.given(person)

        with pytest.raises(SecondFactorOwn):
            second_factor.reset(user_id=person.pk, reason="mine", actor=f"staff:{person.pk}")
        assert SecondFactor.objects.exists()


def test_a_command_resets_it_where_no_admin_is_left(person):
    second_factors.given(person)
    words = ["reset_second_factor", "--reason", "telephone lost", "--by", "abebe", "--email"]

    call_command(*words, person.email.upper(), stdout=StringIO())

    assert AuditEntry.objects.get(verb="second_factor.reset").actor == "abebe"
    for email in (person.email, "nobody@gmail.com"):
        with pytest.raises(CommandError):
            call_command(*words, email, stdout=StringIO())


class TestTheApi:
    @pytest.fixture
    def sign_in(self, api):
        def sign_in(user, *, password=factories.PASSWORD, **more):
            return api.post("/auth/token/", {"email": user.email, "password": password, **more}, key=None)

        return sign_in

    def test_asks_staff_for_the_code_when_the_password_is_right(self, sign_in, person, problem):
        second_factors.given(person)

        problem(sign_in(person), status=401, code="second_factor_required")
        problem(sign_in(person, otp="000000"), status=401, code="second_factor_invalid")
        assert sign_in(person, otp=second_factors.code(person)).status_code == 200

    def test_takes_a_recovery_code(self, sign_in, person):
        codes = second_factors.given(person)

        assert sign_in(person, otp=codes[3]).status_code == 200

    def test_tells_nothing_before_the_password_is_right(self, sign_in, person, problem):
        second_factors.given(person)
        for otp in ({}, {"otp": second_factors.code(person)}):
            problem(sign_in(person, password="not the password", **otp), status=401, code="invalid_credentials")
        assert sign_in(person, otp=second_factors.code(person)).status_code == 200, "and uses nothing up"

    def test_sends_staff_without_one_to_the_desk(self, sign_in, person, problem):
        said = problem(sign_in(person), status=403, code="second_factor_not_set_up")

        assert "desk" in said["detail"]

    def test_does_not_ask_customers(self, sign_in):
        customer = factories.user()

        assert sign_in(customer).status_code == 200
        assert sign_in(customer, otp="000000").status_code == 200

    def test_asks_nobody_where_it_is_off(self, sign_in, person, settings):
        settings.STAFF_SECOND_FACTOR = False

        assert sign_in(person).status_code == 200

    def test_refuses_a_token_that_was_given_without_the_code(self, api, person, problem):
        customer, colleague = factories.user(), staff.person(Role.FINANCE)
        before = sessions.start(user=customer, at=now())
        early = AccessToken.for_user(colleague)  # as it was before there were second factors
        customer.is_staff = True
        customer.save()

        for user, access in ((customer, before.access), (colleague, str(early))):
            second_factors.given(user)
            problem(api.get("/auth/me/", authorization=f"Bearer {access}"), status=401, code="invalid_token")
        problem(api.post("/auth/token/refresh/", {"refresh": before.refresh}, key=None), status=401,
                code="invalid_refresh_token")  # fmt: skip

    def test_lets_staff_go_on_by_what_they_were_given_for_the_code(self, api, sign_in, person, problem):
        second_factors.given(person)
        pair = sign_in(person, otp=second_factors.code(person)).json()

        for _ in range(2):
            assert api.get("/auth/me/", authorization=f"Bearer {pair['access']}").status_code == 200
            pair = api.post("/auth/token/refresh/", {"refresh": pair["refresh"]}, key=None).json()
        changed = passwords.change(user=person, current=factories.PASSWORD, new="another-long-phrase-8", at=now())
        assert api.get("/auth/me/", authorization=f"Bearer {changed.access}").status_code == 200

    def test_ends_what_refreshes_with_the_second_factor_that_it_was_given_for(self, api, sign_in, person, problem):
        second_factors.given(person)
        pair = sign_in(person, otp=second_factors.code(person)).json()
        second_factor.reset(user_id=person.pk, reason="the telephone is lost", actor="staff:0")
        for is_there_another in (False, True):
            if is_there_another:
                second_factors.given(person)
            problem(api.post("/auth/token/refresh/", {"refresh": pair["refresh"]}, key=None), status=401,
                    code="invalid_refresh_token")  # fmt: skip

    def test_a_changed_password_alone_is_no_recent_sign_in_of_staff(self, person):
        pair = passwords.change(user=person, current=factories.PASSWORD, new="another-long-phrase-8", at=now())
        customer = passwords.change(
            user=factories.user(), current=factories.PASSWORD, new="another-long-phrase-8", at=now()
        )

        assert sessions.SIGNED_IN_AT not in AccessToken(pair.access).payload
        assert sessions.SIGNED_IN_AT in AccessToken(customer.access).payload


def dumped(table: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT coalesce(jsonb_agg(to_jsonb(t)), '[]')::text FROM {table} AS t")
        return str(cursor.fetchone()[0])
