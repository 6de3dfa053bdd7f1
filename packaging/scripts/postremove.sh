#!/bin/sh
# After the files are gone. The key of the node and its messages stay; "purge",
# which only deb has, removes them and the user.
set -e

if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
fi
if [ "$1" = purge ]; then
	rm -rf /var/lib/gamelan
	if getent passwd gamelan >/dev/null; then
		userdel gamelan
	fi
fi
