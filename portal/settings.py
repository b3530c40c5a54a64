"""Settings, in fixed sections. Environments differ by variables only; docs/settings.md lists them."""

import os
from importlib.util import find_spec
from pathlib import Path

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from portal import env, production

BASE_DIR = Path(__file__).resolve().parent.parent

# --- What this process is ---------------------------------------------------------------------

PROCESS = env.text("PORTAL_PROCESS", "command")  # web, worker or command
DATA_DIR = Path(env.text("PORTAL_DATA", str(BASE_DIR / ".portal")))
PUBLIC_URL = env.text("PORTAL_URL", "http://127.0.0.1:8000").rstrip("/")
DEBUG = False
SECRET_KEY = env.text("PORTAL_SECRET_KEY")
PRIVACY_KEYS = env.privacy_keys("PORTAL_PRIVACY_KEYS")
# Without one it is made in the data directory (`governance.chain.signing`).
AUDIT_KEY = env.text("PORTAL_AUDIT_KEY", "")
# After how many days a request for access that nobody answered goes to the admins as well.
REQUEST_DAYS = env.integer("PORTAL_REQUEST_DAYS", 3, minimum=1, maximum=90)
AUDIT_ANCHORS = Path(env.text("PORTAL_AUDIT_ANCHORS", str(DATA_DIR / "audit" / "anchors.jsonl")))
# What was erased, to be erased again from a restored backup: docs/erasure.md.
ERASURE_LEDGER = Path(
    env.text("PORTAL_ERASURE_LEDGER", str(DATA_DIR / "ledger" / "erasures.jsonl"))
)
# Where the audit log is sent as it grows: docs/audit.md.
AUDIT_SYSLOG = env.syslog("PORTAL_AUDIT_SYSLOG")
AUDIT_HTTP = env.endpoint("PORTAL_AUDIT_HTTP")
AUDIT_HTTP_SECRET = env.signing_secret("PORTAL_AUDIT_HTTP_SECRET", needed=bool(AUDIT_HTTP))
ALLOWED_HOSTS = env.words("PORTAL_ALLOWED_HOSTS", "127.0.0.1,localhost,[::1]")
CSRF_TRUSTED_ORIGINS = env.words("PORTAL_TRUSTED_ORIGINS", "")
ROOT_URLCONF = "portal.urls"
ASGI_APPLICATION = "portal.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
APPEND_SLASH = True  # pages only: machine endpoints match with and without the slash

# --- Apps -------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "portal.apps.PortalConfig",
    "experiments.apps.ExperimentsConfig",
    "analytics.apps.AnalyticsConfig",
    "quality.apps.QualityConfig",
    "delivery.apps.DeliveryConfig",
    "ingest.apps.IngestConfig",
    "catalog.apps.CatalogConfig",
    "governance.apps.GovernanceConfig",
    "portal.http.apps.HttpUiConfig",
    "guardian",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "rest_framework",
    "django_htmx",
    "csp",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.contrib.postgres",
]

MIDDLEWARE = [
    "portal.http.middleware.request_id",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "portal.http.middleware.keep_private",
    "portal.http.middleware.StrictRequest",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "governance.middleware.EnforcePolicy",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "portal.shell.shell",
            ],
        },
    }
]

# --- Database ---------------------------------------------------------------------------------

# Web requests may hold a statement for 5 s, workers for 60 s; commands (migrations) are not boxed.
_TIMEOUTS = {"web": ("5s", "30s"), "worker": ("60s", "120s")}.get(PROCESS)
_GUARDS = ["-c TimeZone=UTC"]
if _TIMEOUTS:
    _GUARDS += [
        f"-c statement_timeout={_TIMEOUTS[0]}",
        f"-c transaction_timeout={_TIMEOUTS[1]}",
        "-c lock_timeout=2s",
        "-c idle_in_transaction_session_timeout=10s",
    ]
_POOL = env.integer("PORTAL_DB_POOL", 8 if PROCESS == "web" else 0, maximum=200)
_DATABASE_OPTIONS: dict[str, object] = {
    "connect_timeout": 2,
    "options": " ".join(_GUARDS),
    "application_name": f"portal-{PROCESS}",
    # Many connections live as long as their process, one only to be told of changes: a server or a way
    # to it that went without a word is known after some ten seconds. Of no meaning to a Unix socket.
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
if _POOL:
    # Its pause between tries doubles; given up early, whoever asks next tries at once.
    _DATABASE_OPTIONS["pool"] = {
        "min_size": 1,
        "max_size": _POOL,
        "timeout": 5,
        "reconnect_timeout": 2,
    }
DATABASES = {
    "default": env.database("DATABASE_URL")
    | {
        "OPTIONS": _DATABASE_OPTIONS,
        "CONN_MAX_AGE": 0 if _POOL or PROCESS == "web" else 300,
        "CONN_HEALTH_CHECKS": True,
        "DISABLE_SERVER_SIDE_CURSORS": env.flag("PORTAL_PGBOUNCER", default=False),
    }
}

# By whom `audit hand-over` gives the tables their owners; the portal itself never connects so.
OWNER_DATABASE_URL = env.text("PORTAL_OWNER_DATABASE_URL", "")

# --- Redis, cache, Celery ---------------------------------------------------------------------

REDIS_URL = env.text("REDIS_URL")
_CACHE = {
    "LOCATION": REDIS_URL,
    "KEY_PREFIX": "portal",
    "OPTIONS": {"socket_timeout": 0.5, "socket_connect_timeout": 0.5},
}
# Tries of signing in are counted in the one; the other holds what can be computed again.
CACHES = {
    "default": {"BACKEND": "portal.kernel.counting_cache.CountingCache", **_CACHE},
    "soft": {"BACKEND": "django.core.cache.backends.redis.RedisCache", **_CACHE},
}
CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_TIME_LIMIT = 300
CELERY_TASK_SOFT_TIME_LIMIT = 240
CELERY_TASK_DEFAULT_QUEUE = "system"
CELERY_TASK_QUEUES_NAMES = (
    "system",
    "quality",
    "analytics",
    "experimental",
    "bulk",
    "delivery",
)
CELERY_TASK_ROUTES = {
    "quality.*": {"queue": "quality"},
    "analytics.*": {"queue": "analytics"},
    "experiments.*": {"queue": "experimental"},
    "delivery.*": {"queue": "delivery"},
    "catalog.*": {"queue": "bulk"},
    "ingest.suspect_personal": {"queue": "bulk"},
    "ingest.keep_retention": {"queue": "bulk"},
    "ingest.expire_fields": {"queue": "bulk"},
    "ingest.compact_state": {"queue": "bulk"},
    "ingest.measure_storage": {"queue": "bulk"},
    "ingest.thin_latencies": {"queue": "bulk"},
    "governance.run_jobs": {"queue": "bulk"},
    "governance.send_mails": {"queue": "bulk"},
    "governance.send_audit_out": {"queue": "bulk"},
}
CELERY_TASK_CREATE_MISSING_QUEUES = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "queue_order_strategy": "portal.queue_order:ExperimentalLast",
    "visibility_timeout": 600,
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"


def _by_track(
    name: str, task: str, *, seconds: float, expires: int
) -> dict[str, dict[str, object]]:
    """Work that is done stream by stream, once a track: the experimental one's in its own queue, so
    that production's never waits behind it (decision 0051)."""
    on_trial = {"expires": expires, "queue": "experimental"}
    return {
        name: {
            "task": task, "schedule": seconds, "kwargs": {"track": "production"},
            "options": {"expires": expires},
        },
        f"{name}-experimental": {
            "task": task, "schedule": seconds, "kwargs": {"track": "experimental"},
            "options": on_trial,
        },
    }  # fmt: skip


CELERY_BEAT_SCHEDULE: dict[str, dict[str, object]] = {
    "partitions-ahead": {"task": "ingest.make_partitions", "schedule": 3600.0},
    # Every quarter of an hour, as one of them may find another at work; they are short when idle.
    "retention": {"task": "ingest.keep_retention", "schedule": 900.0, "options": {"expires": 600}},
    "field-lives": {
        "task": "ingest.expire_fields",
        "schedule": 1800.0,
        "options": {"expires": 900},
    },
    "state": {"task": "ingest.compact_state", "schedule": 7200.0, "options": {"expires": 3600}},
    "storage": {"task": "ingest.measure_storage", "schedule": 600.0, "options": {"expires": 300}},
    "enforcement": {"task": "ingest.advance_enforcement", "schedule": 3600.0},
    "dead-letters": {
        "task": "ingest.watch_dead_letters",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "freshness": {
        "task": "ingest.sample_freshness",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "latencies": {"task": "ingest.thin_latencies", "schedule": 3600.0},
    "old-uses": {"task": "ingest.forget_deprecated_uses", "schedule": 86_400.0},
    **_by_track("suspects", "ingest.suspect_personal", seconds=300.0, expires=300),
    "rollups": {"task": "analytics.roll_up", "schedule": 5.0, "options": {"expires": 10}},
    **_by_track("checks", "quality.run_checks", seconds=60.0, expires=60),
    **_by_track("baselines", "quality.learn_baselines", seconds=1800.0, expires=1800),
    "experiments": {"task": "experiments.analyse", "schedule": 60.0, "options": {"expires": 60}},
    **_by_track("jobs", "governance.run_jobs", seconds=10.0, expires=10),
    "versions-due": {"task": "catalog.retire_due_versions", "schedule": 300.0},
    "untouched-drafts": {"task": "catalog.thin_drafts", "schedule": 3600.0},
    "old-key-uses": {"task": "governance.forget_key_uses", "schedule": 3600.0},
    "kept-answers": {"task": "governance.forget_answers", "schedule": 3600.0},
    "mails": {"task": "governance.send_mails", "schedule": 60.0, "options": {"expires": 60}},
    "old-notices": {"task": "governance.forget_notices", "schedule": 3600.0},
    # Starts the night's run of policies when it is due, also one that a portal at rest missed.
    "policies": {"task": "governance.run_policies", "schedule": 600.0, "options": {"expires": 600}},
    "audit-anchor": {
        "task": "governance.anchor_audit",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "reviews": {"task": "governance.keep_reviews", "schedule": 900.0, "options": {"expires": 600}},
    "audit-out": {
        "task": "governance.send_audit_out",
        "schedule": 30.0,
        "options": {"expires": 30},
    },
    "unanswered-requests": {"task": "governance.escalate_requests", "schedule": 900.0},
    "unanswered-moves": {"task": "catalog.escalate_moves", "schedule": 900.0},
    "subject-exports": {"task": "governance.remove_exports", "schedule": 300.0},
    "audit-verification": {"task": "governance.verify_audit", "schedule": 900.0},
}

# --- People -----------------------------------------------------------------------------------

AUTH_USER_MODEL = "governance.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "governance.passwords.AtMostValidator"},
    {"NAME": "governance.passwords.ContextWordsValidator"},
    {"NAME": "governance.passwords.GuessableValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_LOGOUT_REDIRECT_URL = "/accounts/login/"
ACCOUNT_ADAPTER = "governance.adapters.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_PREVENT_ENUMERATION = True
PASSWORD_RESET_TIMEOUT = 3600  # seconds that a link of a mail opens the form
# A dangerous act asks again who it is, unless that was said within this time (governance.sudo).
ACCOUNT_REAUTHENTICATION_TIMEOUT = 15 * 60
MFA_ADAPTER = "governance.adapters.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_ALLOW_UNVERIFIED_EMAIL = True  # accounts are made by admins
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_TOTP_ISSUER = "Event portal"
# Whoever has one of these roles has a second factor, or sets one up before anything else.
ROLES = ("product_manager", "engineer", "admin", "analyst", "on_call")
SECOND_FACTOR_ROLES = frozenset(env.words_of("PORTAL_MFA_ROLES", ROLES))
# The company's own sign-in (OpenID Connect): docs/sign-in.md.
OIDC_ISSUER = env.text("PORTAL_OIDC_ISSUER", "")
OIDC_CLIENT_ID = env.text("PORTAL_OIDC_CLIENT_ID", "")
OIDC_CLIENT_SECRET = env.text("PORTAL_OIDC_CLIENT_SECRET", "")
OIDC_NAME = env.text("PORTAL_OIDC_NAME", "Company account")
OIDC_SCOPES = env.words("PORTAL_OIDC_SCOPES", "")
OIDC_GROUPS_CLAIM = env.text("PORTAL_OIDC_GROUPS_CLAIM", "")
OIDC_ROLE_MAP = env.pairs("PORTAL_OIDC_ROLE_MAP", ROLES)
OIDC_MAKE_DOMAINS = frozenset(env.words("PORTAL_OIDC_DOMAINS", ""))
OIDC_MAKE_GROUPS = frozenset(env.words("PORTAL_OIDC_GROUPS", ""))
OIDC_TRUST_EMAILS = env.flag("PORTAL_OIDC_TRUST_EMAILS", default=False)
OIDC_ONLY = env.flag("PORTAL_OIDC_ONLY", default=False)
OIDC_FORM_TARGETS = ["/".join(OIDC_ISSUER.split("/")[:3])] if OIDC_ISSUER else []
if (OIDC_ISSUER or OIDC_ONLY) and not (OIDC_ISSUER and OIDC_CLIENT_ID and OIDC_CLIENT_SECRET):
    raise ImproperlyConfigured(
        "Set PORTAL_OIDC_ISSUER, PORTAL_OIDC_CLIENT_ID and PORTAL_OIDC_CLIENT_SECRET, or none."
    )
GUARDIAN_MONKEY_PATCH_USER = False
ANONYMOUS_USER_NAME = None

# --- Mail -------------------------------------------------------------------------------------

# Without an address to send from notices stay in the portal.
MAIL_FROM = env.text("PORTAL_EMAIL_FROM", "")
DEFAULT_FROM_EMAIL = MAIL_FROM or "portal@localhost"
EMAIL_HOST = env.text("PORTAL_EMAIL_HOST", "localhost")
EMAIL_PORT = env.integer("PORTAL_EMAIL_PORT", 25, minimum=1, maximum=65_535)
EMAIL_HOST_USER = env.text("PORTAL_EMAIL_USER", "")
EMAIL_HOST_PASSWORD = env.text("PORTAL_EMAIL_PASSWORD", "")
_MAIL_SECURITY = env.choice("PORTAL_EMAIL_SECURITY", "none", ("none", "starttls", "tls"))
EMAIL_USE_TLS = _MAIL_SECURITY == "starttls"
EMAIL_USE_SSL = _MAIL_SECURITY == "tls"
EMAIL_TIMEOUT = 10
_MAIL_BY = "smtp" if MAIL_FROM else "console"
EMAIL_BACKEND = env.text(
    "PORTAL_EMAIL_BACKEND", f"django.core.mail.backends.{_MAIL_BY}.EmailBackend"
)

# --- Security ---------------------------------------------------------------------------------

HTTPS = PUBLIC_URL.startswith("https://")
INSECURE_HTTP = env.flag("PORTAL_INSECURE_HTTP", default=False)
_COOKIE_PREFIX = "__Host-" if HTTPS else ""
SESSION_COOKIE_NAME = f"{_COOKIE_PREFIX}portal_session"
SESSION_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 14 * 24 * 3600
# A session that nobody used for so long is over as well; longer than from Friday to Monday.
SESSION_IDLE_HOURS = env.integer("PORTAL_SESSION_IDLE_HOURS", 72, minimum=1, maximum=336)
CSRF_COOKIE_NAME = f"{_COOKIE_PREFIX}portal_csrf"
CSRF_COOKIE_SECURE = HTTPS
CSRF_COOKIE_HTTPONLY = True
# In the session, not in a cookie of their own.
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
CSRF_FAILURE_VIEW = "portal.http.problem.csrf_failure"
SECURE_SSL_REDIRECT = False  # the proxy does it; machine endpoints never redirect
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if env.flag("PORTAL_BEHIND_PROXY", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    # Limits of sign-in and the list of sessions go by who tries, whom only the proxy can name.
    ALLAUTH_TRUSTED_PROXY_COUNT = 1
# Browsers take passkeys over plain http from localhost only; what else there is to check is done.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not HTTPS
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "style-src": [SELF],
        "script-src": [SELF],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        # A form that asks again who it is leads on to the company's provider.
        "form-action": [SELF, *OIDC_FORM_TARGETS],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "font-src": [NONE],
    }
}
# Who is told of a weakness: in /.well-known/security.txt, which is a 404 without.
SECURITY_CONTACT = env.contacts("PORTAL_SECURITY_CONTACT")
# Which inner hosts and networks requests may leave for all the same (portal.kernel.outbound).
OUTBOUND_ALLOW = env.openings("PORTAL_OUTBOUND_ALLOW")
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2000
SILENCED_SYSTEM_CHECKS = [
    # An evaluation on a laptop is served over plain http on loopback; a public address is https
    # and then these settings are on (PORTAL_URL decides).
    *(["security.W004", "security.W012", "security.W016"] if not HTTPS else []),
    "security.W008",
    # guardian's backend judges without term and purpose; governance.access is the one predicate.
    "guardian.W001",
]

# --- API --------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["governance.api.authentication.PortalAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["governance.api.permissions.DeclaredPolicy"],
    "DEFAULT_RENDERER_CLASSES": ["portal.http.rendering.JsonRenderer"],
    "DEFAULT_PARSER_CLASSES": ["portal.http.parsing.StrictJsonParser"],
    "EXCEPTION_HANDLER": "portal.http.problem.handle_api_exception",
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "portal.http.rendering.IgnoreClientNegotiation",
    "UNAUTHENTICATED_USER": None,
}
# What one caller may ask of pages and API, by web process (governance.pace).
REQUESTS_PER_SECOND = env.integer("PORTAL_REQUESTS_PER_SECOND", 300, minimum=1)
API_DOCS_PUBLIC = env.flag("PORTAL_API_DOCS_PUBLIC", default=True)

# --- Static files -----------------------------------------------------------------------------

_PLOTLY = find_spec("plotly")
STATIC_URL = "/static/"
STATIC_ROOT = Path(env.text("PORTAL_STATIC_ROOT", str(DATA_DIR / "static")))
STATICFILES_DIRS: list[str | tuple[str, str]] = [str(BASE_DIR / "static")]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "portal.http.static.PlotlyFinder",
]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "portal.http.static.Storage"},
}
# Tests and commands run without collectstatic having been run.
STATIC_UNHASHED = env.flag("PORTAL_STATIC_UNHASHED", default=False)
if STATIC_UNHASHED:
    STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    WHITENOISE_USE_FINDERS = True
    WHITENOISE_AUTOREFRESH = True

# --- Language, time, logs ---------------------------------------------------------------------

LANGUAGE_CODE = "en"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"
# Which requests to the doors of ingest leave a line: those refused or slow, or all.
LOG_DOORS = env.choice("PORTAL_LOG_DOORS", "notable", ("notable", "all"))
_LOG_LEVEL = env.text("PORTAL_LOG_LEVEL", "INFO")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "text": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"},
        "json": {"()": "portal.kernel.json_log.JsonFormatter"},
    },
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": env.choice("PORTAL_LOG_FORMAT", "json", ("json", "text")),
        }
    },
    "root": {"handlers": ["stderr"], "level": _LOG_LEVEL},
    "loggers": {
        # Lines of requests and tasks. A worker sets the root's level to its own.
        "portal": {"level": _LOG_LEVEL},
        "django.request": {"level": "ERROR"},
        # A foreign Host is a 400 and no news; the line would repeat what was sent.
        "django.security.DisallowedHost": {"level": "CRITICAL"},
        "celery": {"level": "WARNING"},
        # Its line for each request would name addresses, and a collector's with them.
        "httpx2": {"level": "WARNING"},
    },
}

# --- Ingest -----------------------------------------------------------------------------------

# Sealed exports about persons, read by web processes and written by workers.
SUBJECT_EXPORT_DIR = Path(env.text("PORTAL_SUBJECT_EXPORT_DIR", str(DATA_DIR / "exports")))
ARCHIVE_DIR = Path(env.text("PORTAL_ARCHIVE_DIR", str(DATA_DIR / "archive")))
INGEST_QUEUE_EVENTS = env.integer("PORTAL_INGEST_QUEUE_EVENTS", 50_000, minimum=1000)
INGEST_EVENTS_PER_SECOND = env.integer("PORTAL_INGEST_EVENTS_PER_SECOND", 100_000, minimum=1)
# Of an experimental stream that has no quota of its own, over all keys.
INGEST_EXPERIMENTAL_EVENTS_PER_SECOND = env.integer(
    "PORTAL_INGEST_EXPERIMENTAL_EVENTS_PER_SECOND", 100_000, minimum=1
)
INGEST_BODY_BYTES = env.integer("PORTAL_INGEST_BODY_BYTES", 64 * 1024 * 1024, minimum=1024 * 1024)
EMBEDDED = os.environ.get("PORTAL_EMBEDDED") == "1"

# --- Fault tests ------------------------------------------------------------------------------

FAILPOINTS = env.text("PORTAL_FAILPOINTS", "")
FAILPOINTS_ALLOWED = env.flag("PORTAL_FAILPOINTS_ALLOWED", default=False)

# --- What must not be started -----------------------------------------------------------------

production.refuse(globals())
