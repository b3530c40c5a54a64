# Two stages: wheels are installed into a virtual environment, the image carries only that and the code.
FROM python:3.12-slim-bookworm AS build
WORKDIR /app
COPY requirements.lock requirements-archive.lock ./
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --no-deps --only-binary :all: --require-hashes -r requirements.lock
# Words such as "archive": each is a lock file of its own, so what nobody asked for is not in the image.
ARG PORTAL_EXTRAS=""
RUN for extra in $PORTAL_EXTRAS; do \
        /venv/bin/pip install --no-cache-dir --no-deps --only-binary :all: --require-hashes \
            -r "requirements-$extra.lock" || exit 1; \
    done

FROM python:3.12-slim-bookworm
RUN useradd --uid 10001 --create-home portal
WORKDIR /app
COPY --from=build /venv /venv
COPY --chown=root:root . .
# Processes may write nothing here, so what they would compile at each start is compiled now.
RUN /venv/bin/python -m compileall -q /app
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DJANGO_SETTINGS_MODULE=portal.settings \
    PORTAL_DATA=/var/lib/portal \
    PORTAL_STATIC_ROOT=/var/lib/portal/static
RUN mkdir -p /var/lib/portal && chown portal /var/lib/portal
USER portal
EXPOSE 8000
CMD ["uvicorn", "portal.asgi:application", "--host", "0.0.0.0", "--port", "8000", "--workers", "2", "--loop", "portal.http.loop:Loop", "--http", "portal.http.server:Protocol", "--ws", "none", "--log-level", "warning", "--no-server-header", "--no-access-log", "--timeout-graceful-shutdown", "10"]
