# Vigil's worker, sink, feed and tools in one image.
FROM python:3.11.13-slim-bookworm AS build
RUN python -m venv /opt/vigil
WORKDIR /src
COPY requirements/constraints.txt requirements/
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY pyproject.toml README.md LICENSE ./
COPY streams streams
COPY features features
COPY models models
COPY alerts alerts
COPY service service
RUN /opt/vigil/bin/pip install -c requirements/constraints.txt '.[fast]'

FROM python:3.11.13-slim-bookworm
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin vigil \
    && install -d -o 10001 -g 10001 -m 700 /var/lib/vigil
COPY --from=build /opt/vigil /opt/vigil
COPY deploy/entrypoint /usr/local/bin/entrypoint
ENV PATH=/opt/vigil/bin:$PATH HOME=/tmp MPLCONFIGDIR=/tmp/matplotlib \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1 NUMBA_CACHE_DIR=/tmp/numba
# Arrays of a batch are freed and wanted again at once: glibc keeps them (a fifth less CPU).
ENV MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=4294967296
USER 10001:10001
WORKDIR /var/lib/vigil
EXPOSE 9464
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=6 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:9464/healthz', timeout=4)"]
ENTRYPOINT ["entrypoint"]
CMD ["vigil", "run", "--runner", "faust"]
