/*
 * COMMAND, COMMAND COUNT, INFO, DOCS, LIST, GETKEYS and GETKEYSANDFLAGS: what the backend answers, with respgate's own
 * commands merged in (protocol/command_merge.h). One such command of a client is in flight at any time:
 *
 *   taken ──> the backend is asked what it knows of ours ──> the client's own call is sent ──> its reply changed
 *     │                                              └─────> all its names are ours: answered here
 *     └─────> GETKEYS of a command of ours: answered here
 *
 * To the ledger both questions are one request. In a transaction, a tunnel, or a session that has become its
 * connection's own, the backend's answer passes as it is. Thread and owner: the client's worker and the client.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/command.h"

struct call;
struct client;
struct lane;
struct request;

static inline bool command_info_wants(const struct command *row)
{
    switch (row->id) {
    case CMD_COMMAND_ANY:
    case CMD_COMMAND_COUNT:
    case CMD_COMMAND_DOCS:
    case CMD_COMMAND_GETKEYS:
    case CMD_COMMAND_GETKEYSANDFLAGS:
    case CMD_COMMAND_INFO:
    case CMD_COMMAND_LIST:
        return true;
    default:
        return false;
    }
}

/* False when the call may go to `lane` as it is. Else it was taken (*used bytes), or must wait (*used is 0). */
bool command_info_take(struct client *client, struct lane *lane, const struct call *call, size_t *used);
/* The reply to a REQUEST_COMMAND; always true: it is not passed on by the caller. */
bool command_info_on_reply(struct client *client, struct lane *lane, const struct request *request,
                           const uint8_t *bytes, size_t len, bool last);
/* No (further) reply will come, or the client is gone. */
void command_info_forget(struct client *client);
