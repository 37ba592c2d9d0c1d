/*
 * A transaction that is there whole: most clients write MULTI ... EXEC at once, and then it can travel on the shared
 * lane as one contiguous block, because nobody else's command can come between. Only shared commands, no WATCH;
 * everything else gets a connection of its own.
 */
#include <string.h>

#include "proxy/flow/adopt.h"
#include "proxy/flow/client.h"
#include "proxy/flow/limit.h"
#include "proxy/flow/repair.h"
#include "proxy/flow/script_cache.h"

struct member {
    const uint8_t *bytes;
    size_t len;
    uint32_t argc;
    const uint8_t *sub; /* NULL when argc is 1 */
    size_t sub_len;
    const struct command *row;
};

/* The next whole command at `bytes`, or false. */
static bool next_member(const struct client *client, const uint8_t *bytes, size_t len, struct member *member)
{
    struct request_scan scan;

    request_scan_reset(&scan);
    if (request_scan(&scan, bytes, len, &client->worker->settings->limits) != RESP_DONE || scan.is_inline || !scan.argc)
        return false;
    member->sub = scan.argc > 1 ? bytes + scan.arg[1].off : NULL;
    member->sub_len = member->sub ? scan.arg[1].len : 0;
    member->bytes = bytes;
    member->len = (size_t)scan.pos;
    member->argc = scan.argc;
    member->row = command_find(bytes + scan.arg[0].off, scan.arg[0].len, member->sub, member->sub_len);
    return member->row->id != CMD_EXEC || scan.argc == 1;
}

static bool may_travel(const struct client *client, const struct member *member)
{
    struct call call = {.bytes = member->bytes, .len = member->len, .argc = member->argc, .row = member->row};
    const struct command *row = member->row;

    return !limit_is_lowered_by(client, &call) && row->cls == COMMAND_SHARED && row->lane == COMMAND_ON_SHARED &&
           !client->worker->settings->refused[row->index] &&
           client->worker->settings->rewritten[row->index] != REWRITE_VISIBLE &&
           !adopt_is_named(client, row, member->sub, member->sub_len) && !repair_shows(client, row) &&
           !(member->sub && repair_is_enforced(client, row, member->sub, member->sub_len));
}

/* Bytes of the block from MULTI to EXEC, 0 when it is not whole or may not be shared. */
static size_t measure(const struct client *client, const struct call *call)
{
    size_t at = call->len;
    struct member member;

    while (at < call->available && next_member(client, call->bytes + at, call->available - at, &member)) {
        at += member.len;
        if (member.row->id == CMD_EXEC)
            return at;
        if (!may_travel(client, &member))
            return 0;
    }
    return 0;
}

size_t burst_try(struct client *client, const struct call *call, struct lane *lane)
{
    size_t len = measure(client, call), at = 0;
    struct member member;

    if (!len || client->reply_mode != REPLY_ON)
        return 0;
    while (at < len && next_member(client, call->bytes + at, len - at, &member)) {
        enum request_kind kind = member.row->id == CMD_EXEC ? REQUEST_BURST_EXEC : REQUEST_PLAIN;
        auth_note(client->worker, member.row);
        if (member.row->id == CMD_SCRIPT_FLUSH)
            script_note_flush(client->worker);
        client->last_command = member.row;
        client_send(client, lane, kind, member.bytes, member.len)->joined = at > 0;
        at += member.len;
    }
    return len;
}
