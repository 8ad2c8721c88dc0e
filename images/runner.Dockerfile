# Runners: `--target tenant` is where tenants' code runs, `--target admin` where the admin's does.
#
# PYTHON_IMAGE   the base: Debian's kind of system with Python 3.11 or newer
# images/wheels  when it holds wheels, packages come from there and nothing is fetched
#
# Nothing secret may be needed to build it, and no build argument is kept in it.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS pip
COPY images/packages.sh images/wheels /from/

# Two requirements of the lock with their hashes: the lines from each name to the first that is not continued.
FROM pip AS site
COPY requirements.lock /from/
RUN sed -n '/^\(msgspec\|pyotp\)==/,/[^\\]$/p' /from/requirements.lock >/from/site.txt \
    && sh /from/packages.sh --target /site --no-deps --require-hashes -r /from/site.txt

FROM pip AS packages
COPY plugins/requirements*.txt /from/
RUN mkdir /packages && touch /from/requirements.txt \
    && sh /from/packages.sh --target /packages -r /from/requirements.txt

FROM ${PYTHON_IMAGE} AS system
COPY --from=site /site /opt/plugbay/site
COPY calls /opt/plugbay/calls
COPY expose /opt/plugbay/expose
COPY vyperlogix /opt/plugbay/vyperlogix
COPY runner/__init__.py /opt/plugbay/runner/__init__.py
COPY runner/worker /opt/plugbay/runner/worker
RUN --mount=type=bind,source=images/trim.sh,target=/trim.sh sh /trim.sh

# One layer without history: what was trimmed is not in it any more.
FROM scratch AS tenant
COPY --from=system / /
ENV PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8
USER 65534:65534
ENTRYPOINT ["python3", "-I", "-S", "/opt/plugbay/runner/worker/zygote.py"]

FROM tenant AS admin
COPY --from=packages /packages /opt/plugbay/packages
