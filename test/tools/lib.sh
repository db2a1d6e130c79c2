# Functions that the scripts of test/tools share; to be sourced by bash.
# shellcheck shell=bash
#
# What they do together: install Debian packages that are missing, copy the
# tree to a working directory, build and install the copy, run a server of
# our own on a Unix socket inside the working directory.  Nothing is written
# to the tree itself, and no installed cluster is touched.
#
# PostgreSQL refuses to run as root: started by root, everything but the
# installing runs as the user "postgres" (or "nobody").  Started by anybody
# else it runs as that user, and only the installing goes through sudo.
#
# Variables of all of them:
#	top			the source tree
#	work		the working directory, made by make_work
#	pg_config	the pg_config in use, set by setup_packages
#	bindir		the server's programs, likewise
#	version		its major version, likewise
#	test_user	who runs the server; empty: we ourselves

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=
pg_config=
bindir=
version=
test_user=

die()
{
	printf '%s\n' "$*" >&2
	exit 1
}

say()
{
	printf '%s\n' "$*"
}

# ---------------------------------------------------------------- users ----

# Runs a command as root.
as_root()
{
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "this needs root: $* (run it as root, or install sudo)"
	fi
}

# Runs a command as the user of the server.
as_user()
{
	if [ -n "$test_user" ]; then
		runuser -u "$test_user" -- "$@"
	else
		"$@"
	fi
}

choose_user()
{
	test_user=
	if [ "$(id -u)" -eq 0 ]; then
		test_user=postgres
		id -u "$test_user" >/dev/null 2>&1 || test_user=nobody
	fi
}

# ------------------------------------------------------------- packages ----

# The version of PostgreSQL that this Debian has.
debian_version()
{
	# shellcheck source=/dev/null
	case $(. /etc/os-release 2>/dev/null && echo "${VERSION_CODENAME:-}") in
		bullseye) echo 13 ;;
		bookworm) echo 15 ;;
		trixie) echo 17 ;;
		forky) echo 18 ;;
		*) return 1 ;;
	esac
}

# Prints the pg_config to use: the caller's PG_CONFIG, else the one in the
# path, else that of the newest installed server.  Fails when there is none.
# Only the caller's may be one whose server is not installed.
find_pg_config()
{
	local candidate

	if [ -n "${PG_CONFIG:-}" ] && [ "$PG_CONFIG" != pg_config ]; then
		command -v "$PG_CONFIG"
		return
	fi
	for candidate in "$(command -v pg_config)" \
		$(printf '%s\n' /usr/lib/postgresql/*/bin/pg_config | sort -rV); do
		if [ -n "$candidate" ] && [ -x "$candidate" ] &&
			[ -x "$("$candidate" --bindir)/initdb" ]; then
			echo "$candidate"
			return
		fi
	done
	return 1
}

# Installs Debian packages.  No cluster is made for a server that comes with
# them; a setting of the administrator's own is left alone.
install_packages()
{
	local dropin=/etc/postgresql-common/createcluster.d/zz-migrate.conf
	local status=0

	say "   installing Debian packages: $*"
	command -v apt-get >/dev/null ||
		die "this is not Debian: please install what Debian calls $*"
	as_root mkdir -p "${dropin%/*}"
	echo 'create_main_cluster = false' | as_root tee "$dropin" >/dev/null
	{
		as_root apt-get -q -o DPkg::Lock::Timeout=300 update &&
			as_root env DEBIAN_FRONTEND=noninteractive \
				apt-get -q -y -o DPkg::Lock::Timeout=300 --no-install-recommends \
				--no-upgrade install "$@"
	} </dev/null >"$work/apt.log" 2>&1 || status=$?
	as_root rm -f "$dropin"
	if [ "$status" -ne 0 ]; then
		tail -n 30 "$work/apt.log" >&2
		die "apt-get could not install what is missing; please install: $*"
	fi
}

# Whether the server of $pg_config can be built for.  Debian's client package
# brings PGXS, so that proves nothing; the headers come with another package.
has_headers()
{
	[ -e "$("$pg_config" --pgxs)" ] && [ -e "$("$pg_config" --includedir-server)/postgres.h" ]
}

# The compiler that PGXS will call: a command, which can have arguments, as "ccache gcc".
compiler()
{
	local cc=

	[ -z "$pg_config" ] || cc=$("$pg_config" --cc 2>/dev/null || true)
	echo "${cc:-gcc}"
}

# Whether the tests' Perl has every module that they use.
has_perl_modules()
{
	local names

	names=$(sed -nE 's/^[[:space:]]*use ([A-Z][A-Za-z0-9]*(::[A-Za-z0-9]+)*)[ ;].*/\1/p' \
		"$top"/test/t/*.t "$top"/test/t/lib/*.pm "$top"/test/tools/* 2>/dev/null |
		sort -u | grep -v '^Migrate')
	# shellcheck disable=SC2086
	perl -e 'eval "require $_; 1" || exit 1 for @ARGV' $names 2>/dev/null
}

# Prints the packages of what is missing to build, and with $1 = pgtap to test,
# a line each.  What is needed is asked for itself, not the package.
missing_packages()
{
	local want=$1
	local -a cc

	if [ -z "$pg_config" ] || [ ! -x "$("$pg_config" --bindir)/initdb" ]; then
		echo "postgresql-$version"
	fi
	if [ -z "$pg_config" ] || ! has_headers; then
		echo "postgresql-server-dev-$version"
	fi
	read -ra cc < <(compiler)
	command -v "${cc[0]}" >/dev/null || echo "${cc[0]##*/}"
	# The package gcc does not depend on the C library's headers.
	if ! command -v "${cc[0]}" >/dev/null ||
		! echo '#include <stdlib.h>' | "${cc[@]}" -E - >/dev/null 2>&1; then
		echo libc6-dev
	fi
	command -v make >/dev/null || echo make
	[ "$want" = pgtap ] || return 0
	if [ -z "$pg_config" ] || [ ! -e "$("$pg_config" --sharedir)/extension/pgtap.control" ]; then
		echo "postgresql-$version-pgtap"
	fi
	has_perl_modules || echo perl
	# Its package enables a service, so only where nobody else is.
	if [ "${CI:-}" = true ] && [ ! -x /usr/sbin/pgbouncer ]; then
		echo pgbouncer
	fi
	# whose test is skipped without it
	if [ "${CI:-}" = true ] && ! command -v git >/dev/null; then
		echo git
	fi
}

# shellcheck disable=SC2120
# Finds a server and its development files, installing what is missing, and
# sets pg_config, bindir and version.  Arguments: what is needed more, "pgtap".
setup_packages()
{
	local want=${1:-} missing

	if [ -n "${PG_CONFIG:-}" ] && ! command -v "$PG_CONFIG" >/dev/null &&
		[ "$PG_CONFIG" != pg_config ]; then
		die "PG_CONFIG=$PG_CONFIG: no such program"
	fi
	if pg_config=$(find_pg_config); then
		version=$("$pg_config" --version | sed 's/^PostgreSQL \([0-9]*\).*/\1/')
	else
		pg_config=
		version=$(debian_version) ||
			die "no PostgreSQL server is installed; give PG_CONFIG=/path/to/pg_config"
	fi
	mapfile -t missing < <(missing_packages "$want")
	if [ ${#missing[@]} -gt 0 ]; then
		install_packages "${missing[@]}"
		pg_config=$(find_pg_config) || die "still no PostgreSQL server"
		mapfile -t missing < <(missing_packages "$want")
		[ ${#missing[@]} -eq 0 ] || die "still missing: ${missing[*]}"
	fi
	bindir=$("$pg_config" --bindir)
	choose_user
	version=$("$pg_config" --version | sed 's/^PostgreSQL \([0-9]*\).*/\1/')
	say "   $("$pg_config" --version), $bindir"
}

# ------------------------------------------------- working directory, build ----

# Makes the working directory $work, named after $1.  Its path is kept short,
# because a Unix socket's may have no more than about 100 bytes.
make_work()
{
	local parent=${TMPDIR:-/tmp}

	# As root, another user will work in it.
	if [ ${#parent} -gt 50 ] || [ ! -w "$parent" ] ||
		{ [ "$(id -u)" -eq 0 ] && ! runuser -u nobody -- test -w "$parent"; }; then
		parent=/tmp
	fi
	work=$(mktemp -d "$parent/$1.XXXXXX")
}

# Gives $work to the user of the server, who must be able to reach it.
give_work()
{
	chmod 755 "$work"
	mkdir -p "$work/src" "$work/tmp" "$work/socket"
	chmod 700 "$work/socket"
	if [ -n "$test_user" ]; then
		chown -R "$test_user" "$work"
	fi
	as_user test -w "$work" ||
		die "user ${test_user:-$(id -un)} cannot reach $work:" \
			"set TMPDIR to a directory that all may enter"
	# The programs that we start must not meet our own home, directory and
	# language.
	cd "$work" || exit
	export HOME=$work/tmp TMPDIR=$work/tmp LC_ALL=C.UTF-8
}

# Copies the tree to $work/src, without what builds and tests leave in it.
copy_tree()
{
	tar -C "$top" -cf - --exclude=./.git --exclude=./.quickstart --exclude='*.o' --exclude='*.bc' \
		--exclude='*.so' --exclude=./results --exclude=./output_iso --exclude='./tmp_check*' \
		--exclude='./regression.*' . |
		as_user tar -C "$work/src" -xf - --no-same-owner
}

# make in the copy, as the user of the server.  Bitcode is left out: it needs
# the clang that the server was built with.
make_copy()
{
	as_user env -u MAKEFLAGS -u MAKELEVEL -u DESTDIR "${MAKE:-make}" -C "$work/src" \
		PG_CONFIG="$pg_config" with_llvm=no "$@"
}

# Compiler flags that the code must pass without a warning.  The server's own
# headers are not meant: -isystem takes them out.
strict_flags()
{
	echo "-Wall -Wextra -Werror -isystem $("$pg_config" --includedir-server)"
}

# Where the real-world data lies, if anywhere: somewhere the tests can read.
find_shared_data()
{
	local data=${MIGRATE_SHARED_DATA:-$top/../shared/data}

	unset MIGRATE_SHARED_DATA
	if [ ! -d "$data" ]; then
		say "   no shared data: tests on real-world histories are skipped"
		return
	fi
	data=$(cd "$data" && pwd)
	if [ -z "$(as_user find "$data" -name '*.jsonl' -readable -print -quit 2>/dev/null)" ]; then
		cp -r "$data" "$work/data-copy"
		chmod -R u+w,a+rX "$work/data-copy"
		data=$work/data-copy
	fi
	export MIGRATE_SHARED_DATA=$data
	say "   shared data: $data"
}

# shellcheck disable=SC2120
# Builds the copy; arguments go to make.
build_copy()
{
	if ! make_copy -j"$(nproc)" all "$@" >"$work/build.log" 2>&1; then
		cat "$work/build.log" >&2
		die "the build failed"
	fi
}

# Installs the copy's build for the whole machine.
install_copy()
{
	# a subshell: as_root may end it, and what it says is in the log
	(as_root env -u MAKEFLAGS -u MAKELEVEL -u DESTDIR "${MAKE:-make}" -C "$work/src" \
		PG_CONFIG="$pg_config" with_llvm=no install) >"$work/install.log" 2>&1 ||
		{ cat "$work/install.log" >&2; die "make install failed"; }
}

# Whether the server has the copy's build already.  The debug information is
# not looked at: it names the directory.
is_installed()
{
	local libdir sharedir file n=0

	libdir=$("$pg_config" --pkglibdir)
	sharedir=$("$pg_config" --sharedir)
	for file in "$work"/src/migrate.control "$work"/src/migrate--*.sql; do
		cmp -s "$file" "$sharedir/extension/${file##*/}" || return 1
	done
	for file in "$work/src" "$libdir"; do
		as_user strip --strip-debug --remove-section=.note.gnu.build-id \
			-o "$work/tmp/stripped.$((++n))" "$file/migrate.so" 2>/dev/null || return 1
	done
	cmp -s "$work/tmp/stripped.1" "$work/tmp/stripped.2"
}

# --------------------------------------------------------------- server ----

# shellcheck disable=SC2120
# Makes and starts a server in $work/data.  It listens on a Unix socket in
# $work/socket only, which nobody but its user and root can enter, so that
# it needs neither a password nor a free port.  Arguments: settings.
start_server()
{
	local setting

	as_user env -u PGDATA "$bindir/initdb" -D "$work/data" -U postgres \
		--auth=trust --encoding=UTF8 --locale=C --no-sync >"$work/initdb.log" 2>&1 ||
		{ cat "$work/initdb.log" >&2; die "initdb failed"; }
	{
		echo "listen_addresses = ''"
		echo "unix_socket_directories = '$work/socket'"
		echo "fsync = off"
		for setting in "$@"; do
			echo "$setting"
		done
	} | as_user tee -a "$work/data/postgresql.conf" >/dev/null
	# Not the environment of whoever started us: a PGDATABASE or a PGOPTIONS
	# would reach the tests.
	local name
	for name in $(compgen -e PG); do
		[ "$name" = PG_CONFIG ] || unset "$name"
	done
	export PGHOST=$work/socket PGPORT=5432 PGUSER=postgres PGDATABASE=postgres
	as_user "$bindir/pg_ctl" -D "$work/data" -l "$work/server.log" -w -t 60 start \
		</dev/null >"$work/pg_ctl.log" 2>&1 ||
		{ cat "$work/pg_ctl.log" "$work/server.log" >&2; die "the server did not start"; }
}

# Stops the server of working directory $1, if it runs.
stop_server()
{
	if [ -s "$1/data/postmaster.pid" ]; then
		as_user "$bindir/pg_ctl" -D "$1/data" -m immediate -w -t 60 stop >/dev/null 2>&1 || true
	fi
}

# psql on the server of $work.
run_psql()
{
	as_user "$bindir/psql" -X -v ON_ERROR_STOP=1 "$@" </dev/null
}
