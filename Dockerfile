# The driftstream worker and commands.  docker build -t driftstream .
FROM python:3.12-slim AS build
WORKDIR /source
COPY requirements.lock ./
RUN python -m venv /opt/driftstream \
    && /opt/driftstream/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY stream stream
RUN /opt/driftstream/bin/pip install --no-cache-dir --no-deps .

FROM python:3.12-slim
COPY --from=build /opt/driftstream /opt/driftstream
RUN useradd --create-home --uid 10001 driftstream
USER driftstream
WORKDIR /home/driftstream
ENV PATH=/opt/driftstream/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    DRIFTSTREAM_HTTP_HOST=0.0.0.0 \
    DRIFTSTREAM_HTTP_PORT=8080
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["driftstream"]
CMD ["worker"]
