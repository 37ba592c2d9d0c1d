/*
 * What a service manager is told: systemd's notification protocol (sd_notify(3)), datagrams of NAME=value lines to the
 * Unix socket that $NOTIFY_SOCKET names. Never blocks: a manager that does not read must not hold up the proxy, so the
 * caller sends again what was not taken.
 *
 * Owner and thread: main.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct notify {
    int fd; /* -1: nobody wants to know */
    struct sockaddr_un address;
    socklen_t address_len;
    uint64_t watchdog_ms; /* a WATCHDOG=1 is expected at least this often; 0: not expected */
};

/* Out of the environment: NOTIFY_SOCKET ("/path", or "@name" for an abstract one), WATCHDOG_USEC and WATCHDOG_PID.
 * False when it names something that cannot be used: then, as without it, fd is -1. */
bool notify_open(struct notify *notify);
void notify_close(struct notify *notify);

/* False when the datagram was not taken. True when nobody wants to know. */
bool notify_send(const struct notify *notify, const char *lines);
