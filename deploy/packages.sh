# Debian packages by purpose, and `need`, which installs those that are missing. For deploy/quickstart,
# deploy/debian/build and tests/run.
# shellcheck shell=bash

# shellcheck disable=SC2034 # the lists are for those who source this file
packages_build=(gcc libc6-dev pkg-config meson ninja-build python3
    libevent-dev libhiredis-dev libinih-dev libssl-dev)
packages_deb=(build-essential debhelper)
packages_run=(redis-server redis-tools ca-certificates)
packages_test=(git libcmocka-dev python3-pytest python3-pytest-xdist python3-redis python3-hypothesis
    clang-14 libclang-rt-14-dev clang-format-14 clang-tidy-14 cppcheck shellcheck strace procps
    nftables iproute2 openssl prometheus python3-prometheus-client chromium
    systemd mandoc yamllint zsh fish lintian)

package_missing() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" != installed ]
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

# Runs a command under a policy that forbids package scripts to start services: redis-server must not listen on 6379
# only because it was installed. A policy that is there already is the machine owner's and stays.
without_service_start() (
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'as_root rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
    fi
    "$@"
)

install_packages() {
    as_root apt-get -qq update </dev/null &&
        without_service_start as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get -qq -y --no-install-recommends install "$@" </dev/null >/dev/null
}

# need PACKAGE...: does nothing, and needs no rights, when all are there.
need() {
    local package missing=()
    for package in "$@"; do
        if package_missing "$package"; then missing+=("$package"); fi
    done
    if [ ${#missing[@]} -eq 0 ]; then return 0; fi
    if ! as_root true 2>/dev/null; then
        echo "these packages are missing and only root can install them: apt-get install ${missing[*]}" >&2
        return 1
    fi
    echo "installing ${missing[*]}"
    install_packages "${missing[@]}"
}
