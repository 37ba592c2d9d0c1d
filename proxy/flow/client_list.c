#include "proxy/flow/client_list.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "proxy/flow/client.h"
#include "proxy/flow/tour.h"

typedef int (*name_of_socket)(int, struct sockaddr *, socklen_t *);

static void format_address(const struct client *client, name_of_socket get, char *text, size_t len)
{
    struct sockaddr_storage address;
    socklen_t address_len = sizeof(address);
    char ip[INET6_ADDRSTRLEN] = "";

    snprintf(text, len, "%s", "?:0");
    if (client->is_unix) {
        snprintf(text, len, "%s:0", client->worker->settings->unix_socket);
        return;
    }
    if (get(client->conn.fd, (struct sockaddr *)&address, &address_len))
        return;
    if (address.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&address;
        inet_ntop(AF_INET, &in->sin_addr, ip, sizeof(ip));
        snprintf(text, len, "%s:%u", ip, ntohs(in->sin_port));
    } else {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&address;
        inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof(ip));
        snprintf(text, len, "[%s]:%u", ip, ntohs(in6->sin6_port));
    }
}

static bool is_pubsub(const struct client *client)
{
    return client->session.channels || client->session.patterns || client->session.shards;
}

static void format_flags(const struct client *client, char flags[8])
{
    size_t n = 0;

    if (client->last_command && client->last_command->id == CMD_MONITOR)
        flags[n++] = 'O';
    if (is_pubsub(client))
        flags[n++] = 'P';
    if (client->session.tx_open)
        flags[n++] = 'x';
    if (client->blocked)
        flags[n++] = 'b';
    if (client->session.tracking)
        flags[n++] = 't';
    if (client->names && client->names->no_evict)
        flags[n++] = 'e';
    if (!n)
        flags[n++] = 'N';
    flags[n] = 0;
}

static void format_command(const struct client *client, char *text, size_t len)
{
    const struct command *row = client->last_command;

    if (!row || row->id == CMD_UNKNOWN) {
        snprintf(text, len, "NULL");
        return;
    }
    snprintf(text, len, "%s%s%s", row->name, row->subcommand ? "|" : "", row->subcommand ? row->subcommand : "");
    for (char *p = text; *p; p++)
        *p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
}

static bool version_at_least(const char *version, unsigned major, unsigned minor)
{
    unsigned have_major = 0, have_minor = 0;

    return sscanf(version, "%u.%u", &have_major, &have_minor) >= 1 &&
           (have_major > major || (have_major == major && have_minor >= minor));
}

static const char *text_or(const char *text, const char *otherwise)
{
    return text ? text : otherwise;
}

size_t client_line(const struct client *client, char line[CLIENT_LINE_MAX])
{
    static const struct client_names no_names;
    const struct client_names *names = client->names ? client->names : &no_names;
    const char *version = client->pool->hello.version;
    uint64_t now_ms = loop_now_ms(&client->worker->loop);
    char address[160], local[160], flags[8], command[64], watch[24] = "", library[192] = "";
    size_t kept = conn_kept_input(&client->conn);

    format_address(client, getpeername, address, sizeof(address));
    format_address(client, getsockname, local, sizeof(local));
    format_flags(client, flags);
    format_command(client, command, sizeof(command));
    if (version_at_least(version, 7, 4))
        snprintf(watch, sizeof(watch), "watch=%d ", client->session.watching);
    if (version_at_least(version, 7, 2))
        snprintf(library, sizeof(library), " lib-name=%.80s lib-ver=%.80s", text_or(names->lib_name, ""),
                 text_or(names->lib_version, ""));
    int n = snprintf(line, CLIENT_LINE_MAX,
                     "id=%llu addr=%s laddr=%s fd=%d name=%.200s age=%llu idle=%llu flags=%s db=%u sub=%u psub=%u "
                     "ssub=%u multi=%d %sqbuf=%zu qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=%zu oll=0 "
                     "omem=%zu tot-mem=%zu events=r cmd=%s user=%.64s redir=-1 resp=%u%s\n",
                     (unsigned long long)client->id, address, local, client->conn.fd, text_or(names->name, ""),
                     (unsigned long long)(now_ms - client->created_ms) / 1000,
                     (unsigned long long)(now_ms - client->active_ms) / 1000, flags, client->pool->key.db,
                     client->session.channels, client->session.patterns, client->session.shards,
                     client->session.tx_open ? 0 : -1, watch, kept, client->conn.out.len, client->conn.out.len,
                     sizeof(*client) + kept + client->conn.out.len, command, text_or(names->user, "default"),
                     client->pool->key.resp, library);
    return n < CLIENT_LINE_MAX ? (size_t)n : CLIENT_LINE_MAX - 1;
}

static bool has_id(const struct client_filter *filter, uint64_t id)
{
    for (size_t i = 0; i < filter->n_ids; i++)
        if (filter->ids[i] == (int64_t)id)
            return true;
    return false;
}

bool client_matches(const struct client *client, const struct client_filter *filter)
{
    const char *user = client->names && client->names->user ? client->names->user : "default";
    uint64_t age_s = (loop_now_ms(&client->worker->loop) - client->created_ms) / 1000;
    char text[160];

    if (client->state != CLIENT_OPEN || client->id == filter->skip)
        return false;
    if (filter->n_ids && !has_id(filter, client->id))
        return false;
    if (filter->by_type && filter->type != (is_pubsub(client) ? 'p' : 'n'))
        return false;
    if (filter->user[0] && strcmp(filter->user, user) != 0)
        return false;
    if ((int64_t)age_s < filter->min_age_s)
        return false;
    if (filter->address[0]) {
        format_address(client, getpeername, text, sizeof(text));
        if (strcmp(text, filter->address) != 0)
            return false;
    }
    if (filter->local_address[0]) {
        format_address(client, getsockname, text, sizeof(text));
        return !strcmp(text, filter->local_address);
    }
    return true;
}
