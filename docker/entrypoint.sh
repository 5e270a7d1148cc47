#!/bin/sh
# What a container of the image does: docker/entrypoint.sh COMMAND [ARGUMENT …]
#
#   web       serve HTTP on $PORT                         WEB_WORKERS (2) processes of WEB_THREADS (4) threads
#   live      hold the streams of live updates open       on $LIVE_PORT; any number may run
#   relay     publish the outbox                          any number may run
#   worker    Celery: webhooks, payments, notifications   WORKER_PROCESSES (2) processes
#   beat      start the sweepers when they are due        any number may run, one leads
#   migrate   bring the database to this release, then end
#   check     look at settings and database as every start does, then end
#   shell     a Python prompt with the models at hand
#   manage    any other command of manage.py
set -eu
cd "$(dirname "$0")/.."

usage() {
    sed -n '2,/^set /{s/^# \{0,1\}//;/^set /!p;}' "$0"
}

# A missing secret, a sandbox in place of Chapa, a database that may forget: better no process than a wrong one.
check() {
    python manage.py check --deploy --database default --fail-level ERROR
}

command=${1:-}
[ $# -eq 0 ] || shift

case $command in
    web)
        check
        # Longer than a payment's start may wait for Chapa (CHAPA_WEB_DEADLINE_SECONDS), shorter than the orchestrator's
        # patience: a request under way is finished, and a worker that does not end is ended.
        exec granian --interface wsgi --host 0.0.0.0 --port "${PORT:-8000}" \
            --workers "${WEB_WORKERS:-2}" --blocking-threads "${WEB_THREADS:-4}" --backlog 1024 \
            --http 1 --no-ws --no-access-log \
            --respawn-failed-workers --respawn-interval 0.5 --workers-kill-timeout 20 \
            "$@" config.wsgi:application
        ;;
    live)
        check
        exec python manage.py live --host 0.0.0.0 --port "${LIVE_PORT:-8000}" "$@"
        ;;
    relay)
        check
        exec python manage.py relay "$@"
        ;;
    worker)
        check
        exec celery -A config worker -n "nexus@%h" --loglevel info --concurrency "${WORKER_PROCESSES:-2}" \
            -Q webhooks,payments,notifications,default --without-gossip --without-mingle "$@"
        ;;
    beat)
        check
        exec celery -A config beat --loglevel info "$@"
        ;;
    migrate)
        check
        exec python manage.py prepare "$@"
        ;;
    check)
        check
        ;;
    shell)
        exec python manage.py shell "$@"
        ;;
    manage)
        exec python manage.py "$@"
        ;;
    help | --help | -h)
        usage
        ;;
    *)
        echo "There is no command '$command'." >&2
        usage >&2
        exit 64
        ;;
esac
