#!/usr/bin/env bash
# Installs the deb of dist/ in a root of its own, starts the node of its unit as
# the unit's user, sends it a message, and removes and purges the package. Then it
# compares the rpm of dist/ with the deb, installs it in that root and removes it:
#
#	sudo bash packaging/installed.sh
#
# Needs root, dpkg and rpm, and no network but loopback. The root is a directory with
# the few programs that the scripts of the package call; the installed gamelan is
# static and needs nothing of it.
set -euo pipefail
umask 022 # or the users in it cannot run anything
cd "$(dirname "$0")/.."

[ "$(id -u)" = 0 ] || {
	echo "installed: run this as root, in a container for example" >&2
	exit 1
}
PATH=$PATH:/usr/sbin:/sbin
deb=$(ls dist/gamelan_*_amd64.deb)
rpm=$(ls dist/gamelan-*.x86_64.rpm)
root=$(mktemp -d)
running=()
finish() {
	local status=$?
	[ ${#running[@]} = 0 ] || kill -KILL "${running[@]}" 2>/dev/null || true
	if [ "$status" != 0 ]; then
		tail -n 50 "$root"/*.log >&2 2>/dev/null || true
	fi
	rm -rf "$root"
	exit "$status"
}
trap finish EXIT
fail() {
	echo "installed: $*" >&2
	exit 1
}
inside() { chroot "$root" "$@"; }
become() { # become <user> <command…>, with the environment of a service, in place of this shell
	local user=$1
	shift
	exec chroot --userspec="$user:$user" "$root" /usr/bin/env -i PATH=/usr/bin HOME=/nonexistent "$@"
}
as() { (become "$@"); }

# What the scripts of the package call, with the libraries that each needs.
mkdir -p "$root"/{dev,etc,tmp,usr/bin,usr/sbin,var/lib/dpkg/{info,updates,triggers}}
chmod 755 "$root"
chmod 1777 "$root/tmp"
for directory in bin sbin lib lib64; do
	[ "$directory" = sbin ] || [ "$directory" = bin ] || mkdir -p "$root/usr/$directory"
	ln -s "usr/$directory" "$root/$directory"
done
for program in sh env install getent rm timeout useradd userdel nologin; do
	path=$(command -v "$program")
	mkdir -p "$root$(dirname "$path")"
	cp -L "$path" "$root$path"
	ldd "$path" | grep -o '/[^ ]*' | while read -r library; do
		mkdir -p "$root$(dirname "$library")"
		cp -Ln "$library" "$root$library"
	done
done
echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
echo 'root:x:0:' >"$root/etc/group"
install -m 600 /dev/null "$root/etc/shadow"
cp /etc/login.defs "$root/etc/login.defs"
# A file does as well, and a container may not let us make devices.
install -m 666 /dev/null "$root/dev/null"
# useradd is there; the package that it is of is known to dpkg.
cat >"$root/var/lib/dpkg/status" <<'END'
Package: passwd
Status: install ok installed
Maintainer: nobody
Architecture: all
Version: 1
Description: stands for useradd and userdel, which were copied

END
touch "$root/var/lib/dpkg/info/passwd.list"
package() { dpkg --root="$root" --log=/dev/null "$@"; }

echo "installed: $(basename "$deb"), $(dpkg-deb --field "$deb" Version)"
package --install "$deb"
unit=$root/usr/lib/systemd/system/gamelan.service
user=$(sed -n 's/^User=//p' "$unit")
command=$(sed -n 's/^ExecStart=//p' "$unit")
directory=/var/lib/gamelan
uid=$(inside getent passwd "$user" | cut -d: -f3)
[ "$uid" -gt 0 ] || fail "the package made no user $user"
[ "$(stat -c '%u %a' "$root$directory")" = "$uid 700" ] || fail "$directory is $(stat -c '%u %a' "$root$directory")"
case "$command" in
"/usr/bin/gamelan node --data-dir $directory") ;;
*) fail "the unit starts $command" ;;
esac
for file in usr/share/man/man1/gamelan.1.gz usr/share/man/man5/gamelan.toml.5.gz usr/share/bash-completion/completions/gamelan; do
	[ -s "$root/$file" ] || fail "the package has no /$file"
done

# What the unit starts, as the unit's user, on a free port of this machine, and a
# second node that sends.
inside useradd --system --user-group sender
install -d -o "$(inside getent passwd sender | cut -d: -f3)" -m 0700 "$root/var/lib/sender"
# shellcheck disable=SC2086
become "$user" $command >"$root/node.log" 2>&1 &
node=$!
running+=("$node")
become sender /usr/bin/gamelan node --data-dir /var/lib/sender >"$root/sender.log" 2>&1 &
sender=$!
running+=("$sender")
# The first command of each waits for its node.
seed=$(as "$user" /usr/bin/gamelan id --address --wait 60s --data-dir $directory)
as sender /usr/bin/gamelan id --wait 60s --data-dir /var/lib/sender >/dev/null
[ "$(stat -c %u "/proc/$node")" = "$uid" ] || fail "the node does not run as $user"

sent=$(as sender /usr/bin/gamelan send --data-dir /var/lib/sender "$seed" "a message for the service")
echo "$sent"
case "$sent" in *confirmed*) ;; *) fail "not confirmed: $sent" ;; esac
heard=$(as "$user" timeout 60 /usr/bin/gamelan listen --count 1 --raw --data-dir $directory)
[ "$heard" = "a message for the service" ] || fail "heard $heard"
as "$user" /usr/bin/gamelan health --data-dir $directory

# The program needs nothing beside itself, not even /proc, /dev or /etc.
mkdir -p "$root/empty/data"
cp "$root/usr/bin/gamelan" "$root/empty/gamelan"
chroot "$root/empty" /gamelan node --data-dir /data --listen /ip4/127.0.0.1/tcp/0 >"$root/empty.log" 2>&1 &
empty=$!
running+=("$empty")
chroot "$root/empty" /gamelan id --address --wait 60s --data-dir /data
kill "$empty"
wait "$empty" || fail "in an empty root the node ended with exit code $?"
running=("$node" "$sender")

# TERM, as systemd sends it.
kill "$node" "$sender"
for pid in "$node" "$sender"; do
	wait "$pid" || fail "a node ended with exit code $?"
done
running=()

package --remove gamelan
[ ! -e "$root/usr/bin/gamelan" ] || fail "remove left the program"
[ -s "$root$directory/identity.json" ] || fail "remove took the key of the node"
package --purge gamelan
[ ! -e "$root$directory" ] || fail "purge left the data directory"
! inside getent passwd "$user" || fail "purge left the user $user"
left=$(cd "$root" && find usr -name '*gamelan*')
[ -z "$left" ] || fail "purge left $left"
echo "installed: started, heard a message, removed"

# The rpm holds the deb's files, to the byte, with their modes and owners.
echo "installed: $(basename "$rpm")"
query() { rpm --root="$root" --query --package "$rpm" --nosignature "$@"; }
same() { # same <what> <of the deb> <of the rpm>
	[ "$2" = "$3" ] || fail "$1: the deb and the rpm differ:"$'\n'"$(diff <(echo "$2") <(echo "$3"))"
}
mkdir "$root/tmp/deb" "$root/tmp/control"
dpkg-deb --extract "$deb" "$root/tmp/deb"
dpkg-deb --control "$deb" "$root/tmp/control"
same files \
	"$(cd "$root/tmp/deb" && find . -type f -printf '%M %u %g /%P ' -exec sh -c 'sha256sum "$1" | cut -d" " -f1' - {} \; | LC_ALL=C sort)" \
	"$(query --queryformat '[%{FILEMODES:perms} %{FILEUSERNAME} %{FILEGROUPNAME} %{FILENAMES} %{FILEDIGESTS}\n]' | grep -v '^d' | LC_ALL=C sort)"
same version "$(dpkg-deb --field "$deb" Version)" "$(query --queryformat '%{VERSION}-%{RELEASE}' | sed 's/-1$//')"
for script in postinst:POSTIN prerm:PREUN postrm:POSTUN; do
	same "the script ${script%:*}" "$(cat "$root/tmp/control/${script%:*}")" "$(query --queryformat "%{${script#*:}}")"
	[ "$(query --queryformat "%{${script#*:}PROG}")" = /bin/sh ] || fail "/bin/sh does not run the script ${script#*:} of the rpm"
done
[ "$(ls "$root/tmp/control" | grep -cE '^(pre|post)')" = 3 ] || fail "the deb has scripts that the rpm was not asked for: $(ls "$root/tmp/control")"
# useradd is in the package passwd of Debian and shadow-utils of Fedora.
same requires "$(dpkg-deb --field "$deb" Depends | sed 's/^passwd$/shadow-utils/')" "$(query --requires | grep -v '^rpmlib(' | LC_ALL=C sort -u)"

# It does not know that the root has useradd and a shell, hence --nodeps.
rpm --root="$root" --install --nodeps --nosignature "$rpm"
inside getent passwd "$user" >/dev/null || fail "the rpm made no user $user"
[ "$(stat -c '%u %a' "$root$directory")" = "$(inside getent passwd "$user" | cut -d: -f3) 700" ] || fail "$directory is $(stat -c '%u %a' "$root$directory")"
as "$user" /usr/bin/gamelan version
rpm --root="$root" --erase --nodeps gamelan
[ ! -e "$root/usr/bin/gamelan" ] || fail "the removed rpm left the program"
[ -d "$root$directory" ] || fail "the removed rpm took the data directory"
echo "installed: the rpm is as the deb, and was installed and removed"
