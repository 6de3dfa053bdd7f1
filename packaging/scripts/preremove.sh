#!/bin/sh
# Before the files go. The argument is "remove" (deb) or 0 (rpm) for a removal;
# an upgrade restarts the service afterwards.
set -e

case "$1" in
remove | 0)
	if [ -d /run/systemd/system ]; then
		systemctl disable --now gamelan.service
	fi
	;;
esac
