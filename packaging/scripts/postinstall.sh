#!/bin/sh
# After the files are in place, of a first installation and of an upgrade. The
# service is neither enabled nor started: who runs a node says so.
set -e

if ! getent passwd gamelan >/dev/null; then
	useradd --system --user-group --home-dir /var/lib/gamelan --no-create-home \
		--shell /usr/sbin/nologin --comment "Gamelan node" gamelan
fi
install -d -o gamelan -g gamelan -m 0700 /var/lib/gamelan
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	systemctl try-restart gamelan.service
fi
