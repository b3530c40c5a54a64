"""Which passwords are taken: what many use and what is guessed early is not (ASVS 6.2)."""

import itertools
import secrets

import pytest
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from governance.models import User
from governance.passwords import GuessableValidator
from governance.services.people import make_first_people
from tests.support.signing_in import PASSWORD, sign_in, with_password

LONG = 12
# What people make a short one long enough with.
TAILS = ("1234", "12345", "123456", "1234567", "2024", "123!", "qwerty", "password")


def is_refused(password: str) -> bool:
    try:
        validate_password(password)
    except ValidationError:
        return True
    return False


def test_more_than_three_thousand_common_ones_of_twelve_characters_are_refused() -> None:
    common = list(FREQUENCY_LISTS["passwords"])
    whole = [word for word in common if len(word) >= LONG]
    made = [
        word + tail
        for word, tail in itertools.product(common[:1_000], TAILS)
        if len(word + tail) >= LONG
    ]
    asked = [*whole, *made]
    assert len(set(asked)) > 3_000
    assert [word for word in asked if not GuessableValidator._is_guessed(word)] == []


@pytest.mark.parametrize(
    "password",
    ["Passw0rd2024", "1qaz2wsx3edc4rfv", "jessicajessica", "abcdefghijklmnop", "iloveyou1234",
     "michaeljackson", "manchesterunited", "zaq12wsxcde34rfv"],
)  # fmt: skip
def test_what_is_guessed_early_is_refused(password: str) -> None:
    assert is_refused(password)


@pytest.mark.parametrize(
    "password",
    [PASSWORD, "correct horse battery staple", "the sunflower sings 7", "seven winters in Turku",
     "kolme vanhaa venettä", "4815162342108 9", "x" * 64 + "yz" * 32],
)  # fmt: skip
def test_a_sentence_of_ones_own_is_taken(password: str) -> None:
    assert not is_refused(password)


@pytest.mark.django_db
def test_the_first_passwords_that_the_portal_makes_would_be_taken() -> None:
    made = make_first_people().passwords.values()
    assert len(set(made)) == 5
    assert not any(map(is_refused, [*made, *(secrets.token_urlsafe(12) for _ in range(200))]))


@pytest.mark.django_db
def test_the_form_refuses_a_common_one_and_says_what_to_do() -> None:
    ada = with_password()
    form = {"oldpassword": PASSWORD, "password1": "michaeljackson", "password2": "michaeljackson"}
    page = sign_in(ada).post("/accounts/password/change/", form).content.decode()
    assert "a few words that nobody expects" in page
    assert User.objects.get(pk=ada.pk).check_password(PASSWORD)
