# The one image of ours: the worker and every other command. Not root, nothing to compile, every dependency by hash.
FROM python:3.11-slim

COPY requirements/uv.txt requirements/runtime.txt /tmp/requirements/
# uv installs several gigabytes of PyTorch in a minute where pip takes many; it doesn't stay in the image.
RUN python -m venv /tmp/uv \
 && /tmp/uv/bin/pip install --quiet --no-cache-dir --disable-pip-version-check --require-hashes -r /tmp/requirements/uv.txt \
 && /tmp/uv/bin/uv venv --quiet --python python3.11 /opt/safestream/environment \
 && /tmp/uv/bin/uv pip install --quiet --no-cache --no-deps --require-hashes --compile-bytecode \
      --python /opt/safestream/environment/bin/python -r /tmp/requirements/runtime.txt \
 && rm -rf /tmp/uv /tmp/requirements

COPY schemas /opt/safestream/code/schemas
COPY stream /opt/safestream/code/stream
COPY detectors /opt/safestream/code/detectors
COPY enforcement /opt/safestream/code/enforcement
COPY evaluation /opt/safestream/code/evaluation
COPY safestream /opt/safestream/code/safestream

ENV PATH=/opt/safestream/environment/bin:$PATH \
    PYTHONPATH=/opt/safestream/code \
    PYTHONUNBUFFERED=1 \
    HF_HUB_OFFLINE=1

RUN printf '#!/bin/sh\nexec python -m safestream "$@"\n' > /usr/local/bin/safestream \
 && chmod 755 /usr/local/bin/safestream \
 && useradd --system --uid 10001 --create-home --home-dir /home/safestream safestream \
 && install --directory --owner safestream /var/lib/safestream/ledger
USER safestream
WORKDIR /home/safestream

# A stop is SIGTERM: the worker commits what is under way and leaves the group within 10 s.
STOPSIGNAL SIGTERM
EXPOSE 9100
ENTRYPOINT ["safestream"]
CMD ["worker"]
