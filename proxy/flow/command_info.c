#include "proxy/flow/command_info.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/command_merge.h"
#include "protocol/own_command.h"
#include "proxy/flow/client.h"

struct command_info {
    struct command_merge merge;
    bool asked; /* the backend has said what it knows; its next reply is that to the client's call */
    size_t len;
    uint8_t call[]; /* as the client sent it */
};

static void put(void *to, const void *bytes, size_t len)
{
    struct client *client = to;
    conn_write(&client->conn, bytes, len);
}

/* The command asked about is the call's third word. False: it is none of ours. */
static bool answer_keys(struct client *client, const struct call *call)
{
    size_t cap = call->len + OWN_KEY_ROOM * (size_t)call->argc, len;
    struct request_args args;
    const uint8_t *name = NULL;
    const char *error;
    int own;

    request_args_start(&args, call->bytes, call->len);
    for (unsigned i = 0; i < 3; i++)
        if (!request_args_next(&args, &name, &len))
            return false;
    own = own_command_find(name, len);
    if (own == OWN_NONE)
        return false;
    struct reply_writer w = {.bytes = malloc(cap), .cap = cap};
    if (!w.bytes)
        return false;
    error =
        own_entry_keys(&w, (unsigned)own, client->pool->key.resp, call->row->id == CMD_COMMAND_GETKEYSANDFLAGS, args);
    assert(!w.full);
    if (error)
        client_answer_error(client, error, &client->worker->counters.replied);
    else
        client_answer(client, &w, &client->worker->counters.replied);
    free(w.bytes);
    return true;
}

/* False: nothing of ours belongs into the answer. */
static bool ask(struct client *client, struct lane *lane, const struct call *call)
{
    struct command_info *info = malloc(sizeof(*info) + call->len);
    uint8_t question[COMMAND_MERGE_ASK_MAX];
    struct reply_writer w = {.bytes = question, .cap = sizeof(question)};

    if (!info)
        return false;
    info->asked = false;
    info->len = call->len;
    memcpy(info->call, call->bytes, call->len);
    if (!command_merge_start(&info->merge, call->row, info->call, info->len, client->pool->key.resp)) {
        free(info);
        return false;
    }
    info->merge.put = put;
    info->merge.to = client;
    client->command_info = info;
    command_merge_ask(&w);
    assert(!w.full);
    client_send(client, lane, REQUEST_COMMAND, w.bytes, w.len);
    client_shut(client, GATE_DRAIN); /* the client's own call is still to be sent, and before its later ones */
    return true;
}

bool command_info_take(struct client *client, struct lane *lane, const struct call *call, size_t *used)
{
    const struct session *session = &client->session;
    bool subscribed = client->pool->key.resp == 2 && session_subscriptions(session);

    /* Nobody would read it, or what the connection speaks is not known here. */
    if (client_is_muted(client) || session->tx_open || session->adopted || subscribed)
        return false;
    *used = 0;
    if (!client_drained(client))
        return true;
    *used = call->len;
    if (call->row->id == CMD_COMMAND_GETKEYS || call->row->id == CMD_COMMAND_GETKEYSANDFLAGS)
        return answer_keys(client, call);
    return ask(client, lane, call);
}

static void on_knowledge(struct client *client, struct lane *lane, const struct request *request, const uint8_t *bytes,
                         size_t len)
{
    struct command_info *info = client->command_info;

    if (!request->begun) /* longer than any answer to this question, it says nothing */
        command_merge_learn(&info->merge, bytes, len);
    info->asked = true;
    if (command_merge_is_all_ours(&info->merge)) {
        command_merge_alone(&info->merge);
        command_info_forget(client);
        return;
    }
    client_send_again(client, lane, request, info->merge.mine ? REQUEST_COMMAND : REQUEST_PLAIN, info->call, info->len);
    if (!info->merge.mine)
        command_info_forget(client);
}

bool command_info_on_reply(struct client *client, struct lane *lane, const struct request *request,
                           const uint8_t *bytes, size_t len, bool last)
{
    struct command_info *info = client->command_info;

    if (!info->asked) {
        if (last)
            on_knowledge(client, lane, request, bytes, len);
        return true;
    }
    command_merge_feed(&info->merge, bytes, len, last);
    if (last)
        command_info_forget(client);
    if (client->conn.out.len > client->worker->settings->reply_buffer)
        throttle_lane(client, lane);
    return true;
}

void command_info_forget(struct client *client)
{
    free(client->command_info);
    client->command_info = NULL;
}
