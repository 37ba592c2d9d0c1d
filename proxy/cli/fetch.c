#include "proxy/cli/fetch.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "conf/address.h"
#include "conf/conf.h"
#include "proxy/cli/ask.h"
#include "proxy/watch/http.h"

enum { BODY_MAX = 64 << 20 };

static void set_timeouts(int fd)
{
    struct timeval limit = {.tv_sec = FETCH_TIMEOUT_MS / 1000, .tv_usec = FETCH_TIMEOUT_MS % 1000 * 1000};

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

static int connect_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    set_timeouts(fd);
    if (!connect(fd, (struct sockaddr *)&address, sizeof(address)))
        return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

static int connect_tcp(const struct address *address)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *found, *info;
    char port[8];
    int fd = -1, why = EHOSTUNREACH;

    snprintf(port, sizeof(port), "%u", address->port);
    if (getaddrinfo(ask_host(address->host), port, &hints, &found)) {
        errno = why;
        return -1;
    }
    for (info = found; info && fd < 0; info = info->ai_next) {
        fd = socket(info->ai_family, info->ai_socktype | SOCK_CLOEXEC, 0);
        if (fd < 0)
            continue;
        set_timeouts(fd);
        if (!connect(fd, info->ai_addr, info->ai_addrlen))
            break;
        why = errno;
        close(fd);
        fd = -1;
    }
    freeaddrinfo(found);
    errno = why;
    return fd;
}

/* Rather over the Unix socket, which may take orders. */
static int open_port(const struct conf *conf, char *error, size_t error_len)
{
    const char *path = conf_string(conf, "stats", NULL, "unix_socket");
    const char *text = conf_string(conf, "stats", NULL, "address");
    struct address address;
    int fd;

    if (!path[0] && !text[0]) {
        snprintf(error, error_len, "stats.address and stats.unix_socket are empty: there is no stats port to ask");
        return -1;
    }
    if (!path[0] && address_parse(text, strlen(text), &address)) {
        snprintf(error, error_len, "stats.address: has no port to ask");
        return -1;
    }
    fd = path[0] ? connect_unix(path) : connect_tcp(&address);
    if (fd < 0)
        snprintf(error, error_len, "cannot connect to the stats port %s: %s", path[0] ? path : text, strerror(errno));
    return fd;
}

/* All that comes until the end; NULL: it did not come in time, or is too much. */
static char *read_all(int fd, size_t *len)
{
    char *bytes = NULL;
    FILE *out = open_memstream(&bytes, len);
    char part[16384];
    ssize_t n = 1;

    while (out && (n = recv(fd, part, sizeof(part), 0)) > 0 && ftell(out) < BODY_MAX)
        fwrite(part, 1, (size_t)n, out);
    if (out)
        fclose(out);
    if (!n)
        return bytes;
    free(bytes);
    return NULL;
}

/* Over a path, or an address that was given for the purpose, whoever answers there is meant. */
static bool knows_whom(const struct conf *conf)
{
    if (conf_string(conf, "stats", NULL, "unix_socket")[0])
        return false;
    return conf_is_set(conf, "listen", NULL, "address") || conf_is_set(conf, "listen", NULL, "unix_socket") ||
           !conf_is_set(conf, "stats", NULL, "address");
}

/* Where they listen: "HOST:PORT PATH". Of the address the port must do, because a host has many names. */
static bool is_meant(const struct conf *conf, const char *listens)
{
    size_t len = strcspn(listens, " ");
    const char *path = listens[len] ? listens + len + 1 : "", *ours = conf_string(conf, "listen", NULL, "address");
    const char *our_path = conf_string(conf, "listen", NULL, "unix_socket");
    struct address their_address, our_address;

    if (path[0] && !strcmp(path, our_path))
        return true;
    return !address_parse(listens, len, &their_address) && !address_parse(ours, strlen(ours), &our_address) &&
           their_address.port == our_address.port;
}

/* False with a message when it is not a respgate that answers, or not ours. */
static bool check_identity(const struct conf *conf, const char *bytes, struct fetched *fetched)
{
    static const char key[] = "\r\n" HTTP_IDENTITY ": ";
    const char *found = strstr(bytes, key), *end = strstr(bytes, "\r\n\r\n");
    char listens[512];

    fetched->code = EXIT_NOT_MEANT;
    if (!found || !end || found > end) {
        snprintf(fetched->error, sizeof(fetched->error), "what answers at the stats port is no respgate");
        return false;
    }
    found += strlen(key);
    snprintf(listens, sizeof(listens), "%.*s", (int)strcspn(found, "\r"), found);
    if (!knows_whom(conf) || is_meant(conf, listens)) {
        fetched->code = EXIT_FINE;
        return true;
    }
    snprintf(fetched->error, sizeof(fetched->error),
             "the stats port %s is that of another respgate, which listens on %.400s; this configuration's, on %.200s, "
             "either does not run or found the port taken",
             conf_string(conf, "stats", NULL, "address"), listens, conf_string(conf, "listen", NULL, "address"));
    return false;
}

/* Takes the head off, when it is a good answer. */
static void take_body(struct fetched *fetched, char *bytes)
{
    char *body = strstr(bytes, "\r\n\r\n") + 4;
    int status = 0;

    if (sscanf(bytes, "HTTP/1.%*d %d", &status) == 1 && status == 200) {
        fetched->len -= (size_t)(body - bytes);
        memmove(bytes, body, fetched->len + 1);
        fetched->body = bytes;
        return;
    }
    fetched->code = EXIT_FAILED;
    snprintf(fetched->error, sizeof(fetched->error), "the stats port says %d: %.*s", status, (int)strcspn(body, "\r\n"),
             body);
    free(bytes);
}

void fetch(const struct conf *conf, const char *method, const char *path, struct fetched *fetched)
{
    char request[256], *bytes;
    int fd;

    *fetched = (struct fetched){.code = EXIT_FAILED};
    fd = open_port(conf, fetched->error, sizeof(fetched->error));
    if (fd < 0)
        return;
    int n =
        snprintf(request, sizeof(request),
                 "%s %s HTTP/1.0\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", method, path);
    bytes = send(fd, request, (size_t)n, MSG_NOSIGNAL) == n ? read_all(fd, &fetched->len) : NULL;
    close(fd);
    if (!bytes)
        snprintf(fetched->error, sizeof(fetched->error), "no whole answer within %d ms", FETCH_TIMEOUT_MS);
    else if (check_identity(conf, bytes, fetched))
        take_body(fetched, bytes);
    else
        free(bytes);
}
