/*
 * Bodies of scripts that clients have sent (EVAL, SCRIPT LOAD), so that an EVALSHA the backend does not know can be
 * healed:
 *
 *   known body, not seen to run since the backend connection was last lost   sent as EVAL at once
 *   known body, and the backend says NOSCRIPT (which proves nothing ran)     the same call once more, as EVAL, unless
 *                                                                            something later of that client was sent
 *   body unknown, or inside MULTI                                            the error passes
 *
 * Bounded by script_cache, least recently used first out. Emptied when a SCRIPT FLUSH passes by. Owner and thread: a
 * worker.
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
struct script_cache;
struct worker;

struct script_cache *script_cache_new(size_t max_bytes);
void script_cache_free(struct script_cache *cache);
/* A backend connection was lost: what it knew may be gone. */
void script_cache_new_epoch(struct script_cache *cache);

static inline bool script_cache_wants(const struct script_cache *cache, const struct command *row)
{
    switch (row->id) {
    case CMD_EVAL:
    case CMD_EVAL_RO:
    case CMD_EVALSHA:
    case CMD_EVALSHA_RO:
    case CMD_SCRIPT_LOAD:
    case CMD_SCRIPT_FLUSH:
        return cache;
    default:
        return false;
    }
}

/* The text of a script that has passed by as EVAL or SCRIPT LOAD; NULL: not known any more. */
const uint8_t *script_text(struct worker *worker, const uint8_t *sha, size_t sha_len, size_t *len);
/* Remembers the text of one that is not sent as it is. */
void script_note(struct worker *worker, const uint8_t *text, size_t len);
/* A SCRIPT FLUSH passes by: the backend was told to forget, so nobody's script is healed any more. Any worker. */
void script_note_flush(struct worker *worker);
/* Looks at a script command on its way to `lane`. True when it was sent here (an EVALSHA); else the caller sends it. */
bool script_send(struct client *client, struct lane *lane, const struct call *call);
/* The reply to an EVALSHA that script_send() sent; true when it is swallowed because the call is sent again. */
bool script_on_reply(struct client *client, struct lane *lane, const struct request *request, const uint8_t *bytes,
                     size_t len, bool last);
/* No reply to the oldest such EVALSHA will come. */
void script_on_lost(struct client *client);
/* The client is gone: drops what was kept for healing. */
void script_forget(struct client *client);
