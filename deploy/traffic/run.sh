#!/bin/sh
# Sample traffic for docker-compose.yml: events of the three content types, as a platform team would produce them.
# One process a topic; when one ends, all do, and the container is started again.
set -eu
for topic in content.comments content.messages content.profile-signals; do
  (python /traffic/sample_events.py "$topic" "$EVENTS_PER_SECOND" | safestream produce "$topic" -; kill $$) &
done
wait
