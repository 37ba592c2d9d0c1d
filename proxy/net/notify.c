#include "proxy/net/notify.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A decimal number that is all there is; 0 when it is not. */
static uint64_t read_number(const char *text)
{
    char *end;
    unsigned long long number;

    if (!text || !isdigit((unsigned char)*text))
        return 0;
    errno = 0;
    number = strtoull(text, &end, 10);
    return *end || errno ? 0 : number;
}

/* The manager watches the process it started: one that inherited the variables is not meant. */
static uint64_t read_watchdog_ms(void)
{
    const char *pid = getenv("WATCHDOG_PID");

    if (pid && read_number(pid) != (uint64_t)getpid())
        return 0;
    return read_number(getenv("WATCHDOG_USEC")) / 1000;
}

static bool set_address(struct notify *notify, const char *path)
{
    size_t len = strlen(path);

    if ((path[0] != '/' && path[0] != '@') || len < 2 || len >= sizeof(notify->address.sun_path))
        return false;
    notify->address.sun_family = AF_UNIX;
    memcpy(notify->address.sun_path, path, len);
    notify->address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    if (path[0] == '@')
        notify->address.sun_path[0] = 0; /* abstract: the name is what follows, without an end */
    else
        notify->address_len++;
    return true;
}

bool notify_open(struct notify *notify)
{
    const char *path = getenv("NOTIFY_SOCKET");

    *notify = (struct notify){.fd = -1};
    if (!path || !*path)
        return true;
    if (!set_address(notify, path))
        return false;
    notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (notify->fd < 0)
        return false;
    notify->watchdog_ms = read_watchdog_ms();
    return true;
}

void notify_close(struct notify *notify)
{
    if (notify->fd >= 0)
        close(notify->fd);
    notify->fd = -1;
}

bool notify_send(const struct notify *notify, const char *lines)
{
    ssize_t sent;

    if (notify->fd < 0)
        return true;
    /* Not connected: a manager that was started anew binds the same path again. */
    do
        sent = sendto(notify->fd, lines, strlen(lines), MSG_NOSIGNAL, (const struct sockaddr *)&notify->address,
                      notify->address_len);
    while (sent < 0 && errno == EINTR);
    return sent >= 0;
}
