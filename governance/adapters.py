"""django-allauth as the portal uses it: accounts are made by admins, nobody signs up."""

from typing import Any, ClassVar
from urllib.parse import quote

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.authentication import get_authentication_records
from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from governance import first_logins, second_factor, sudo
from governance.models import User
from governance.oidc import provider
from governance.seen import seen
from governance.selectors.sign_in import has_company_account
from governance.services.accounts import password_changed

FIRST_IS_OVER = (
    f"This first password was not used for {first_logins.UNUSED_DAYS} days and is over. "
    "Whoever runs this portal gets a new one by `manage.py first_run`."
)
ONLY_COMPANY = "Passwords and passkeys are switched off here: use your company account."
# What allauth says after an act, in our words; what is not here is not said.
SAID: dict[str, str] = {
    "account/messages/logged_out.txt": "Signed out.",
    "account/messages/password_changed.txt": "Your password is changed. "
    "Wherever else you were signed in, you are no more.",
    "account/messages/password_set.txt": "Your password is set.",
    "mfa/messages/totp_activated.txt": "From now on a code of your app is asked at sign-in.",
    "mfa/messages/totp_deactivated.txt": "The authenticator app is removed.",
    "mfa/messages/webauthn_added.txt": "The passkey is added.",
    "mfa/messages/webauthn_removed.txt": "The passkey is removed.",
}


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth ships no types
    error_messages: ClassVar = DefaultAccountAdapter.error_messages | {
        "email_password_mismatch": "E-mail and password do not belong together.",
        "too_many_login_attempts": "Too many tries. Wait a few minutes, then try again.",
        "incorrect_password": "That is not your password.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        if settings.OIDC_ONLY:
            raise ValidationError(ONLY_COMPANY)
        if first_logins.is_over(credentials.get("email", ""), credentials.get("password", "")):
            raise ValidationError(FIRST_IS_OVER)
        super().pre_authenticate(request, **credentials)

    def pre_login(self, request: HttpRequest, user: User, **kwargs: Any) -> HttpResponse | None:
        """The gate of every way in: with PORTAL_OIDC_ONLY none but the company's."""
        if settings.OIDC_ONLY and not _by_company(request, user):
            messages.error(request, ONLY_COMPANY)
            return redirect("account_login")
        refusal: HttpResponse | None = super().pre_login(request, user, **kwargs)
        return refusal

    def get_reauthentication_methods(self, user: User | AnonymousUser) -> list[dict[str, str]]:
        """Password, code, passkey, and the company's sign-in for who came by it."""
        found: list[dict[str, str]] = super().get_reauthentication_methods(user)
        if settings.OIDC_ONLY:
            found = [one for one in found if one["id"] != "reauthenticate"]
        if isinstance(user, User) and provider.is_on() and has_company_account(user):
            said = f"Use your {settings.OIDC_NAME}"
            found.append({"id": "company", "description": said, "url": reverse("company_again")})
        return found

    def login(self, request: HttpRequest, user: User) -> None:
        super().login(request, user)
        seen(request, anew=True)

    def set_password(self, user: User, password: str) -> None:
        super().set_password(user, password)
        password_changed(user, but=context.request.session.session_key or "")

    def get_reset_password_from_key_url(self, key: str) -> str:
        """The portal's own address, whatever host was asked."""
        at = reverse("account_reset_password_from_key", kwargs={"uidb36": "UID", "key": "KEY"})
        return f"{settings.PUBLIC_URL}{at.replace('UID-KEY', quote(key))}"

    def format_email_subject(self, subject: str) -> str:
        return subject

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        return reverse("settings")

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """One rule for the library's pages and ours: a sign-in just now counts."""
        return not sudo.is_fresh(context.request)

    def add_message(
        self,
        request: HttpRequest,
        level: int,
        message_template: str | None = None,
        message_context: dict[str, Any] | None = None,
        extra_tags: str = "",
        message: str | None = None,
    ) -> None:
        said = message or SAID.get(message_template or "")
        if said:
            messages.add_message(request, level, said, extra_tags=extra_tags)


def _by_company(request: HttpRequest, user: User) -> bool:
    records = get_authentication_records(request, user)
    return bool(records) and any(one.get("method") == "socialaccount" for one in records)


class SecondFactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth ships no types
    error_messages: ClassVar = DefaultMFAAdapter.error_messages | {
        "incorrect_code": "That is not the code of this moment. Wait for the next one.",
    }

    def encrypt(self, text: str) -> str:
        return second_factor.seal(text)

    def decrypt(self, encrypted_text: str) -> str:
        return second_factor.unseal(encrypted_text)

    def generate_authenticator_name(self, user: User, type: str) -> str:  # noqa: A002  # theirs
        count = Authenticator.objects.filter(user_id=user.pk, type=type).count()
        return f"Passkey {count + 1}"
