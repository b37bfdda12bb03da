#!/bin/sh
# Which participants, which files, and one file that goes on where it was: BEIWE_URL, BEIWE_ACCESS_KEY,
# BEIWE_SECRET_KEY and BEIWE_STUDY must be set. The secret goes through a file of curl's, not through its arguments,
# which other people on the machine can read.
set -eu
umask 077
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
printf 'header = "X-Access-Key-Id: %s"\nheader = "X-Access-Key-Secret: %s"\n' \
    "$BEIWE_ACCESS_KEY" "$BEIWE_SECRET_KEY" > "$work/headers"
printf 'data-urlencode = "access_key=%s"\ndata-urlencode = "secret_key=%s"\ndata = "study_id=%s"\n' \
    "$BEIWE_ACCESS_KEY" "$BEIWE_SECRET_KEY" "$BEIWE_STUDY" > "$work/form"

curl --silent --show-error --fail --config "$work/form" "$BEIWE_URL/get-participant-ids/v1"
echo

curl --silent --show-error --fail --config "$work/headers" \
    "$BEIWE_URL/get-data/v3/manifest?study_id=$BEIWE_STUDY&data_streams=gps&limit=1" > "$work/manifest"
address=$(sed -n 's/.*"url":"\([^"]*\)".*/\1/p' "$work/manifest")

# --continue-at asks for the rest of a file that is there in part.
curl --silent --show-error --fail --config "$work/headers" --continue-at - --output first_gps_file.csv \
    "$BEIWE_URL$address"
head -n 3 first_gps_file.csv
