/*
 * The CLIENT commands that are answered here: they concern the client's own connection, which ends at the proxy, or the
 * clients of the proxy, which the backend does not know (Redis documentation, CLIENT).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/flow/client.h"
#include "proxy/flow/client_list.h"
#include "proxy/flow/tour.h"
#include "proxy/net/log.h"

struct client_names *client_names(struct client *client)
{
    if (!client->names)
        client->names = calloc(1, sizeof(*client->names));
    if (!client->names)
        end_out_of_memory(sizeof(*client->names));
    return client->names;
}

void client_names_free(struct client *client)
{
    if (!client->names)
        return;
    free(client->names->name);
    free(client->names->lib_name);
    free(client->names->lib_version);
    free(client->names->user);
    free(client->names);
    client->names = NULL;
}

bool client_name_is_valid(const uint8_t *name, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (name[i] < '!' || name[i] > '~')
            return false;
    return true;
}

static size_t fail(struct client *client, const struct call *call, const char *text)
{
    client_answer_error(client, text, &client->worker->counters.replied);
    return call->len;
}

static size_t succeed(struct client *client, const struct call *call)
{
    client_answer_ok(client);
    return call->len;
}

static size_t answer_number(struct client *client, const struct call *call, int64_t number)
{
    uint8_t bytes[32];
    struct reply_writer w = {.bytes = bytes, .cap = sizeof(bytes)};

    reply_integer(&w, number);
    client_answer(client, &w, &client->worker->counters.replied);
    return call->len;
}

/* --- this client --- */

static void set_text(char **text, const uint8_t *value, size_t len)
{
    free(*text);
    *text = len ? copy_bytes(value, len) : NULL;
}

static size_t set_name(struct client *client, const struct call *call)
{
    const uint8_t *name;
    size_t len;

    call_arg(call, 2, &name, &len);
    if (!client_name_is_valid(name, len))
        return fail(client, call, reply_text_bad_client_name);
    set_text(&client_names(client)->name, name, len);
    return succeed(client, call);
}

static size_t get_name(struct client *client, const struct call *call)
{
    const char *name = client->names ? client->names->name : NULL;
    size_t cap = 32 + (name ? strlen(name) : 0);
    uint8_t *bytes = malloc(cap);
    struct reply_writer w = {.bytes = bytes, .cap = bytes ? cap : 0};

    if (name)
        reply_bulk(&w, name, strlen(name));
    else
        reply_null(&w, client->pool->key.resp);
    client_answer(client, &w, &client->worker->counters.replied);
    free(bytes);
    return call->len;
}

static size_t set_info(struct client *client, const struct call *call)
{
    const uint8_t *option, *value;
    size_t option_len, value_len;
    char text[160];

    call_arg(call, 2, &option, &option_len);
    call_arg(call, 3, &value, &value_len);
    bool is_name = arg_is(option, option_len, "LIB-NAME");
    if (!is_name && !arg_is(option, option_len, "LIB-VER")) {
        snprintf(text, sizeof(text), "ERR Unrecognized option '%.*s'", (int)(option_len < 64 ? option_len : 64),
                 option);
        return fail(client, call, text);
    }
    if (!client_name_is_valid(value, value_len)) {
        snprintf(text, sizeof(text), "ERR %s cannot contain spaces, newlines or special characters.",
                 is_name ? "lib-name" : "lib-ver");
        return fail(client, call, text);
    }
    struct client_names *names = client_names(client);
    set_text(is_name ? &names->lib_name : &names->lib_version, value, value_len);
    return succeed(client, call);
}

static size_t info(struct client *client, const struct call *call)
{
    char line[CLIENT_LINE_MAX];
    client_answer_text(client, line, client_line(client, line));
    return call->len;
}

static size_t set_reply_mode(struct client *client, const struct call *call)
{
    const uint8_t *mode;
    size_t len;

    call_arg(call, 2, &mode, &len);
    if (arg_is(mode, len, "ON")) {
        client->reply_mode = REPLY_ON;
        return succeed(client, call);
    }
    if (!arg_is(mode, len, "OFF") && !arg_is(mode, len, "SKIP"))
        return fail(client, call, "ERR syntax error");
    count(client->worker, accepted);
    count(client->worker, replied);
    if (arg_is(mode, len, "OFF"))
        client->reply_mode = REPLY_OFF;
    else if (client->reply_mode != REPLY_OFF)
        client->reply_mode = REPLY_SKIP_NEXT;
    return call->len;
}

static size_t set_no_evict(struct client *client, const struct call *call)
{
    const uint8_t *mode;
    size_t len;

    call_arg(call, 2, &mode, &len);
    if (!arg_is(mode, len, "ON") && !arg_is(mode, len, "OFF"))
        return fail(client, call, "ERR syntax error");
    client_names(client)->no_evict = arg_is(mode, len, "ON");
    return succeed(client, call);
}

static size_t tracking_info(struct client *client, const struct call *call)
{
    uint8_t bytes[128];
    struct reply_writer w = {.bytes = bytes, .cap = sizeof(bytes)};
    unsigned resp = client->pool->key.resp;

    reply_map(&w, resp, 3);
    reply_bulk(&w, "flags", 5);
    if (resp == 3)
        reply_raw(&w, "~1\r\n", 4);
    else
        reply_array(&w, 1);
    reply_bulk(&w, "off", 3);
    reply_bulk(&w, "redirect", 8);
    reply_integer(&w, -1);
    reply_bulk(&w, "prefixes", 8);
    reply_array(&w, 0);
    client_answer(client, &w, &client->worker->counters.replied);
    return call->len;
}

/* --- all clients --- */

static bool visit_list(struct tour *tour, struct worker *worker)
{
    struct client *client;
    char line[CLIENT_LINE_MAX];

    TAILQ_FOREACH(client, &worker->clients, link)
    {
        if (!client_matches(client, &tour->filter))
            continue;
        size_t len = client_line(client, line);
        if (tour->text_len + len > tour->text_cap) {
            size_t cap = 2 * (tour->text_cap + len);
            char *text = realloc(tour->text, cap);
            if (!text)
                return true;
            tour->text = text;
            tour->text_cap = cap;
        }
        memcpy(tour->text + tour->text_len, line, len);
        tour->text_len += len;
    }
    return true;
}

static bool visit_kill(struct tour *tour, struct worker *worker)
{
    struct client *client, *next;

    for (client = TAILQ_FIRST(&worker->clients); client; client = next) {
        next = TAILQ_NEXT(client, link);
        if (!client_matches(client, &tour->filter))
            continue;
        tour->matches++;
        if (client->id == tour->client_id)
            tour->matched_self = true; /* it gets its answer first */
        else
            client_close(client, "CLIENT KILL");
    }
    return true;
}

static bool visit_blocked(struct tour *tour, struct worker *worker)
{
    struct client *client;

    TAILQ_FOREACH(client, &worker->clients, link)
    if (client->id == tour->target && client->blocked && client->pin)
        tour_note_pin(tour, client->pin);
    return true;
}

/* `TYPE x` as the server reads it; false when there is no such type. */
static bool read_type(struct client_filter *filter, const uint8_t *arg, size_t len)
{
    static const struct {
        const char *word;
        char type;
    } types[] = {{"normal", 'n'}, {"pubsub", 'p'}, {"master", 'm'}, {"primary", 'm'}, {"replica", 'r'}, {"slave", 'r'}};

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (arg_is(arg, len, types[i].word)) {
            filter->by_type = true;
            filter->type = types[i].type;
            return true;
        }
    return false;
}

static void add_id(struct client_filter *filter, int64_t id)
{
    /* Full at each power of two. */
    if (!(filter->n_ids & (filter->n_ids - 1))) {
        int64_t *ids = realloc(filter->ids, (filter->n_ids ? 2 * filter->n_ids : 1) * sizeof(*ids));
        if (!ids)
            return;
        filter->ids = ids;
    }
    filter->ids[filter->n_ids++] = id;
}

static void copy_arg(char *to, size_t cap, const uint8_t *arg, size_t len)
{
    snprintf(to, cap, "%.*s", (int)(len < cap ? len : cap - 1), (const char *)arg);
}

static size_t unknown_type(struct client *client, const struct call *call, const uint8_t *arg, size_t len)
{
    char text[128];
    snprintf(text, sizeof(text), "ERR Unknown client type '%.*s'", (int)(len < 64 ? len : 64), (const char *)arg);
    return fail(client, call, text);
}

static size_t list(struct client *client, const struct call *call)
{
    struct tour *tour;
    const uint8_t *arg = NULL, *value;
    size_t len = 0, value_len, used = 0;
    int64_t id;

    if (client->tour) {
        client_answer_text(client, client->tour->text ? client->tour->text : "", client->tour->text_len);
        tour_forget(client);
        return call->len;
    }
    tour = tour_new(visit_list);
    if (call->argc == 4 && call_arg(call, 2, &arg, &len) && arg_is(arg, len, "TYPE")) {
        call_arg(call, 3, &value, &value_len);
        if (!read_type(&tour->filter, value, value_len))
            used = unknown_type(client, call, value, value_len);
    } else if (call->argc > 3 && call_arg(call, 2, &arg, &len) && arg_is(arg, len, "ID")) {
        for (uint32_t i = 3; !used && call_arg(call, i, &value, &value_len); i++) {
            if (!arg_number(value, value_len, &id))
                used = fail(client, call, "ERR Invalid client ID");
            else
                add_id(&tour->filter, id);
        }
    } else if (call->argc != 2) {
        used = fail(client, call, "ERR syntax error");
    }
    if (used)
        tour_free(tour);
    else
        tour_start(client, tour);
    return used;
}

/* One option of CLIENT KILL and its value; returns an error text, or NULL. */
static const char *read_kill_option(struct client *client, struct client_filter *filter, const uint8_t *name,
                                    size_t name_len, const uint8_t *value, size_t len, char *text, size_t text_len)
{
    int64_t number;

    if (arg_is(name, name_len, "ID")) {
        if (!arg_number(value, len, &number) || number < 1)
            return "ERR client-id should be greater than 0";
        add_id(filter, number);
    } else if (arg_is(name, name_len, "TYPE")) {
        if (!read_type(filter, value, len)) {
            snprintf(text, text_len, "ERR Unknown client type '%.*s'", (int)(len < 64 ? len : 64), (const char *)value);
            return text;
        }
    } else if (arg_is(name, name_len, "ADDR")) {
        copy_arg(filter->address, sizeof(filter->address), value, len);
    } else if (arg_is(name, name_len, "LADDR")) {
        copy_arg(filter->local_address, sizeof(filter->local_address), value, len);
    } else if (arg_is(name, name_len, "USER")) {
        copy_arg(filter->user, sizeof(filter->user), value, len);
    } else if (arg_is(name, name_len, "SKIPME") && (arg_is(value, len, "YES") || arg_is(value, len, "NO"))) {
        filter->skip = arg_is(value, len, "YES") ? client->id : 0;
    } else if (arg_is(name, name_len, "MAXAGE") && arg_number(value, len, &number) && number > 0) {
        filter->min_age_s = number;
    } else {
        return "ERR syntax error";
    }
    return NULL;
}

static const char *read_kill(struct client *client, const struct call *call, struct client_filter *filter, char *text,
                             size_t text_len)
{
    const uint8_t *name, *value;
    size_t name_len, len;
    const char *error = NULL;

    if (call->argc == 3) {
        call_arg(call, 2, &value, &len);
        copy_arg(filter->address, sizeof(filter->address), value, len);
        return NULL;
    }
    filter->skip = client->id;
    for (uint32_t i = 2; !error && i < call->argc; i += 2) {
        if (!call_arg(call, i, &name, &name_len) || !call_arg(call, i + 1, &value, &len))
            return "ERR syntax error";
        error = read_kill_option(client, filter, name, name_len, value, len, text, text_len);
    }
    return error;
}

static size_t finish_kill(struct client *client, const struct call *call)
{
    const struct tour *tour = client->tour;
    bool suicide = tour->matched_self;

    if (call->argc > 3)
        answer_number(client, call, (int64_t)tour->matches);
    else if (tour->matches)
        client_answer_ok(client);
    else
        fail(client, call, reply_text_no_such_client);
    tour_forget(client);
    if (suicide)
        client_finish(client, "CLIENT KILL by itself");
    return call->len;
}

static size_t kill_clients(struct client *client, const struct call *call)
{
    struct tour *tour;
    const char *error;
    char text[128];

    if (client->tour)
        return finish_kill(client, call);
    tour = tour_new(visit_kill);
    error = read_kill(client, call, &tour->filter, text, sizeof(text));
    if (error) {
        tour_free(tour);
        return fail(client, call, error);
    }
    tour_start(client, tour);
    return 0;
}

/* The server knows the blocked client by the id of its pinned connection. */
static size_t send_unblock(struct client *client, const struct call *call, uint64_t backend_id)
{
    struct lane_key key = client->pool->key;
    const uint8_t *how = NULL;
    size_t how_len = 0, used = 0;
    char command[128], id[24];
    struct call rewritten = *call;

    lane_key_select(&key, 0);
    if (!client->pin && !pin_acquire(client, pool_get(client->worker, &key), call, &used))
        return used;
    int id_len = snprintf(id, sizeof(id), "%llu", (unsigned long long)backend_id);
    bool error = call_arg(call, 3, &how, &how_len) && arg_is(how, how_len, "ERROR");
    int n = snprintf(command, sizeof(command), "*4\r\n$6\r\nCLIENT\r\n$7\r\nUNBLOCK\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n",
                     id_len, id, error ? 5 : 7, error ? "ERROR" : "TIMEOUT");
    rewritten.bytes = (const uint8_t *)command;
    client_send(client, client->pin, REQUEST_ONCE, rewritten.bytes, (size_t)n);
    client_shut(client, GATE_DRAIN);
    return call->len;
}

static size_t unblock(struct client *client, const struct call *call)
{
    const uint8_t *arg;
    struct tour *tour;
    int64_t id;
    size_t len;

    if (client->tour) {
        uint64_t backend_id = tour_backend_id(client->tour, client->pool);
        size_t used = backend_id ? send_unblock(client, call, backend_id) : answer_number(client, call, 0);
        if (used)
            tour_forget(client);
        return used;
    }
    if (call->argc == 4 && call_arg(call, 3, &arg, &len) && !arg_is(arg, len, "TIMEOUT") && !arg_is(arg, len, "ERROR"))
        return fail(client, call, "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
    if (call->argc > 4)
        return dispatch_plain(client, call);
    call_arg(call, 2, &arg, &len);
    if (!arg_number(arg, len, &id))
        return fail(client, call, reply_text_not_integer);
    tour = tour_new(visit_blocked);
    tour->target = (uint64_t)id;
    tour_start(client, tour);
    return 0;
}

size_t client_command(struct client *client, const struct call *call)
{
    switch (call->row->id) {
    case CMD_CLIENT_ID:
        return answer_number(client, call, (int64_t)client->id);
    case CMD_CLIENT_SETNAME:
        return set_name(client, call);
    case CMD_CLIENT_GETNAME:
        return get_name(client, call);
    case CMD_CLIENT_SETINFO:
        return set_info(client, call);
    case CMD_CLIENT_INFO:
        return info(client, call);
    case CMD_CLIENT_REPLY:
        return set_reply_mode(client, call);
    case CMD_CLIENT_NO_EVICT:
        return set_no_evict(client, call);
    case CMD_CLIENT_CAPA:
        return succeed(client, call);
    case CMD_CLIENT_TRACKINGINFO:
        return tracking_info(client, call);
    case CMD_CLIENT_GETREDIR:
        return answer_number(client, call, -1);
    case CMD_CLIENT_LIST:
        return list(client, call);
    case CMD_CLIENT_KILL:
        return kill_clients(client, call);
    case CMD_CLIENT_UNBLOCK:
        return unblock(client, call);
    default:
        return fail(client, call, reply_text_maint_notifications);
    }
}
