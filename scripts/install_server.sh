#!/usr/bin/env bash
# Install the server or the relay as a service of Debian or Ubuntu: scripts/install_server.sh [options]
set -euo pipefail
# shellcheck source=scripts/lib
. "$(dirname "$0")/lib"

usage() {
    cat <<'USAGE'
usage: scripts/install_server.sh [--relay] [--from WHEEL] [--no-start] [--dry-run]
       scripts/install_server.sh --uninstall [--relay] [--purge] [--dry-run]

Installs the ClawChat server, or with --relay a relay, as a systemd service: a user of its own without a password
or a shell, an environment in /opt/clawchat, the configuration in /etc, the secrets in /var/lib, a unit with no more
rights than it uses, the command clawchat-server in /usr/local/bin, and its manual page.  Run it again to upgrade:
what is configured stays.

  --relay        a relay instead of a server; both may live on one machine
  --from WHEEL   install this wheel instead of the checkout that the script is in
  --no-start     enable the service, and leave starting it to the next boot
  --uninstall    remove the service; configuration, secrets and user stay
  --purge        with --uninstall: remove those, too
  --dry-run      say what would be done, and do nothing
USAGE
}

prefix=/opt/clawchat
command=/usr/local/bin/clawchat-server
manual=/usr/local/share/man/man1
units=/etc/systemd/system
others=(clawchat-server clawchat-relay)

service=clawchat-server
name=clawchat
what=server
from=$checkout
dry='' start=yes uninstall='' purge=''

while [ $# -gt 0 ]; do
    case $1 in
    --relay) service=clawchat-relay name=clawchat-relay what=relay ;;
    --from)
        from=$(realpath -e -- "${2:?--from needs a wheel}" 2>/dev/null) || fail "there is no $2" "name a wheel: --from dist/clawchat-….whl"
        shift
        ;;
    --no-start) start='' ;;
    --uninstall) uninstall=yes ;;
    --purge) purge=yes ;;
    --dry-run) dry=yes ;;
    -h | --help)
        usage
        exit 0
        ;;
    *)
        usage >&2
        fail "unknown option $1" "see the list above"
        ;;
    esac
    shift
done

# act COMMAND...: do it, or with --dry-run say it.
act() {
    if [ -n "$dry" ]; then
        printf '+'
        printf ' %q' "$@"
        printf '\n'
    else
        "$@"
    fi
}

# put FILE MODE: write standard input into a file, only if something changes.
put() {
    local new
    new=$(cat)
    if [ -n "$dry" ]; then
        printf '+ write %s (mode %s)\n' "$1" "$2"
    elif [ "$(cat "$1" 2>/dev/null)" != "$new" ] || [ "$(stat -c %a "$1")" != "${2#0}" ]; then
        printf '%s\n' "$new" >"$1.new"
        chmod "$2" "$1.new"
        mv -T "$1.new" "$1"
    fi
}

# In a chroot or a container there may be systemd's files and no systemd.
systemd_runs() { [ -d /run/systemd/system ]; }

reload() {
    if systemd_runs; then
        act systemctl daemon-reload
    fi
}

check_system() {
    [ -n "$dry" ] || [ "$(id -u)" = 0 ] || fail "only root may install services" "run it again with sudo, or look with --dry-run"
    [ -r /etc/debian_version ] || fail "this is not Debian or Ubuntu" "install by hand; docs/OPERATIONS.md says how"
    command -v systemctl >/dev/null || fail "there is no systemd here" "run the container, or \`clawchat-server run\` by other means"
}

# Print the Python that the service will run on: the system's, since a service sees no home directories.
system_python() {
    local candidate
    for candidate in ${CLAWCHAT_PYTHON:-/usr/bin/python3 /usr/bin/python3.14 /usr/bin/python3.13 /usr/bin/python3.12 /usr/bin/python3.11}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            case $(realpath "$candidate") in
            /home/* | /root/* | /tmp/*) fail "the service could not see $candidate: it is below a home directory" "set CLAWCHAT_PYTHON to one in /usr or /opt" ;;
            esac
            printf '%s\n' "$candidate"
            return
        fi
    done
    fail "no Python 3.11 or newer in /usr/bin" "apt-get install python3.11 python3.11-venv, or set CLAWCHAT_PYTHON"
}

make_user() {
    if ! getent passwd "$name" >/dev/null; then
        act useradd --system --user-group --home-dir "/var/lib/$name" --no-create-home --shell /usr/sbin/nologin \
            --comment "ClawChat $what" "$name"
    fi
}

make_environment() {
    local base wheels='(a new directory)' wheel=$from
    base=$(system_python)
    if ! "$base" -c 'import ensurepip, venv' 2>/dev/null; then
        act apt-get install -y --no-install-recommends "$(basename "$base")-venv"
    fi
    [ -x "$prefix/bin/python" ] || act "$base" -m venv "$prefix"
    if [ -d "$from" ]; then
        [ -n "$dry" ] || wheels=$(mktemp -d)
        # shellcheck disable=SC2064 # the directory is known now
        [ -n "$dry" ] || trap "rm -rf '$wheels'" EXIT
        act "$prefix/bin/pip" --quiet wheel --no-deps --wheel-dir "$wheels" "$from"
        wheel=$(find "$wheels" -name '*.whl' 2>/dev/null || echo 'the wheel')
    fi
    # The first brings what it needs, the second the same version anew.
    act "$prefix/bin/pip" --quiet install --upgrade "$wheel" click-man
    act "$prefix/bin/pip" --quiet install --force-reinstall --no-deps "$wheel"
}

make_directories() {
    # The service reads its configuration and never writes it; only it may look into its state.
    act install -d -m 0750 -o root -g "$name" "/etc/$name"
    act install -d -m 0700 -o "$name" -g "$name" "/var/lib/$name"
}

configure() {
    local file=/etc/$name/server.yaml made
    if [ "$what" = relay ] || [ -e "$file" ]; then
        return # a relay needs no configuration, and one that is there stays
    fi
    if [ -n "$dry" ]; then
        printf '+ clawchat-server init, as %s, into %s\n' "$name" "$file"
        return
    fi
    made=$(mktemp -d)
    chown "$name:" "$made"
    CONFIGURATION_DIRECTORY=$made STATE_DIRECTORY=/var/lib/$name \
        runuser -u "$name" -- "$prefix/bin/clawchat-server" init >/dev/null 2>"$made/said" || {
        cat "$made/said" >&2
        fail "the server could not be set up" "mend what is said above, and run this again"
    }
    install -m 0640 -o root -g "$name" "$made/server.yaml" "$file"
    rm -rf "$made"
}

# The services' own command: with the rights and the places that the unit gives.
make_command() {
    put "$command" 0755 <<'COMMAND'
#!/bin/sh
# clawchat-server for the services of this machine: as their own user, who alone may see their secrets.
case ${1:-} in
relay) name=clawchat-relay ;;
*) name=clawchat ;;
esac
unset CLAWCHAT_HOME
export CONFIGURATION_DIRECTORY="/etc/$name" STATE_DIRECTORY="/var/lib/$name"
case ${1:-} in
'' | -* | explain | completions | answer) ;; # these need no secrets; `answer` reads and writes files of the caller
*)
    if [ "$(id -un)" != "$name" ]; then
        [ "$(id -u)" = 0 ] || { echo "clawchat-server: only root and $name may do this; try sudo" >&2; exit 1; }
        exec runuser -u "$name" -- /opt/clawchat/bin/clawchat-server "$@"
    fi
    ;;
esac
exec /opt/clawchat/bin/clawchat-server "$@"
COMMAND
}

make_manual() {
    act install -d -m 0755 "$manual"
    act "$prefix/bin/python" "$checkout/scripts/man.py" "$manual" clawchat-server
}

enable_service() {
    put "$units/$service.service" 0644 <"$checkout/scripts/systemd/$service.service"
    reload
    act systemctl --quiet enable "$service.service"
    if [ -n "$start" ] && systemd_runs; then
        act systemctl restart "$service.service"
    fi
}

install_service() {
    umask 022
    make_user
    make_environment
    make_directories
    configure
    make_command
    make_manual
    enable_service
    [ -z "$dry" ] || return 0
    say "The $what is installed.  How it does:  systemctl status $service"
    if [ "$what" = relay ]; then
        say "What servers need to join it:         /var/lib/$name/relay/relay.sec, and bootstrap.key beside it"
        say "Its settings, if it needs any:        /etc/$name/relay.yaml"
    else
        say "Is everything in order?               sudo clawchat-server doctor"
        say "Invite somebody:                      sudo clawchat-server invite --name NAME"
        say "Its settings:                         /etc/$name/server.yaml"
    fi
}

uninstall_service() {
    local other left=''
    if systemd_runs; then
        act systemctl --quiet disable --now "$service.service" 2>/dev/null || true
    else
        act systemctl --quiet disable "$service.service" 2>/dev/null || true
    fi
    act rm -f "$units/$service.service"
    reload
    for other in "${others[@]}"; do
        if [ "$other" != "$service" ] && [ -e "$units/$other.service" ]; then
            left=$other
        fi
    done
    if [ -n "$left" ]; then
        say "$left is installed, so the programs stay."
    else
        act rm -rf "$prefix" "$command"
        act find "$manual" -name 'clawchat-server*.1' -delete
    fi
    if [ -n "$purge" ]; then
        act rm -rf "/etc/$name" "/var/lib/$name"
        if getent passwd "$name" >/dev/null; then
            act userdel "$name"
        fi
    else
        say "Still there: /etc/$name, /var/lib/$name and the user $name; --uninstall --purge removes them."
    fi
}

unset CLAWCHAT_HOME # the caller's own places are not the service's
check_system
if [ -n "$uninstall" ]; then
    uninstall_service
else
    install_service
fi
