/* Commands that are answered here, without the backend. */
#include <stdlib.h>
#include <string.h>

#include "proxy/flow/client.h"

size_t local_quit(struct client *client, const struct call *call)
{
    if (!client_drained(client))
        return 0;
    client_answer_ok(client);
    client_finish(client, "QUIT");
    return call->len;
}

/* Back to a fresh connection; only the library's name survives (Redis documentation, RESET). */
size_t local_reset(struct client *client, const struct call *call)
{
    static uint8_t reply[] = "+RESET\r\n";

    if (!client_drained(client))
        return 0;
    pin_drop(client);
    client_move_to_pool(client, auth_first_pool(client->worker));
    client->authenticated = client->worker->settings->auth == AUTH_NONE;
    client->reply_mode = REPLY_ON;
    if (client->names) {
        free(client->names->name);
        free(client->names->user);
        client->names->name = client->names->user = NULL;
    }
    client_answer(client, &(struct reply_writer){.bytes = reply, .len = sizeof(reply) - 1},
                  &client->worker->counters.replied);
    return call->len;
}

static void write_unsubscribed(struct reply_writer *w, unsigned resp, const struct command *row, const uint8_t *name,
                               size_t len)
{
    static const char *const kinds[] = {"unsubscribe", "punsubscribe", "sunsubscribe"};
    const char *kind = kinds[row->id == CMD_PUNSUBSCRIBE ? 1 : row->id == CMD_SUNSUBSCRIBE ? 2 : 0];

    reply_push(w, resp, 3);
    reply_bulk(w, kind, strlen(kind));
    if (name)
        reply_bulk(w, name, len);
    else
        reply_null(w, resp);
    reply_integer(w, 0);
}

size_t local_unsubscribe(struct client *client, const struct call *call)
{
    size_t cap = call->len + 64 * (size_t)call->argc + 64;
    struct reply_writer w = {.cap = cap};
    struct request_args args;
    const uint8_t *name;
    size_t len;

    if (!client_drained(client))
        return 0;
    w.bytes = malloc(cap);
    if (!w.bytes)
        return 0;
    if (call->argc == 1)
        write_unsubscribed(&w, client->pool->key.resp, call->row, NULL, 0);
    request_args_start(&args, call->bytes, call->len);
    request_args_next(&args, &name, &len);
    while (request_args_next(&args, &name, &len))
        write_unsubscribed(&w, client->pool->key.resp, call->row, name, len);
    count(client->worker, accepted);
    count(client->worker, replied);
    conn_write(&client->conn, w.bytes, w.len); /* whatever CLIENT REPLY says: it does not silence confirmations */
    throttle_answers(client);
    free(w.bytes);
    return call->len;
}

size_t local_dispatch(struct client *client, const struct call *call)
{
    switch (call->row->id) {
    case CMD_AUTH:
        return auth_command(client, call);
    case CMD_HELLO:
        return auth_hello(client, call);
    case CMD_SELECT:
        return auth_select(client, call);
    case CMD_RESPGATE_STATUS:
    case CMD_RESPGATE_ANY:
        return status_command(client, call);
    default:
        return client_command(client, call);
    }
}
