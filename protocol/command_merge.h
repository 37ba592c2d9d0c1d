/*
 * Puts respgate's own commands into a server's reply to COMMAND, COMMAND COUNT, INFO, DOCS and LIST while it passes.
 * The replies to those without names are hundreds of kilobytes; not a byte of any is kept.
 *
 * First the server is asked what it knows of our commands itself, and in which shape it tells: command_merge_ask(), to
 * be answered before the client's own call is sent. What it lists itself (INCREX since Redis 8.8) is left to it.
 *
 *   HEAD ──(`*n` is now `*n+k`)──> APPEND   all passes, then come ours
 *    ├────(INFO with names)──────> PLACE    a null where a name of ours was asked for gives way to our entry
 *    ├────(`:n`, or nothing)─────> DROP     ours was written in its place
 *    └────(an error, odd)────────> PASS     as it is
 *
 * Owner and thread: the client's. Nothing to free; the call's bytes and the receiver of what is put out are the
 * caller's, and must outlive it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/command.h"
#include "protocol/reply.h"
#include "protocol/resp.h"

enum command_merge_topic { MERGE_COUNT, MERGE_INFO, MERGE_DOCS, MERGE_LIST };
enum command_merge_state { MERGE_HEAD, MERGE_APPEND, MERGE_PLACE, MERGE_DROP, MERGE_PASS };

struct command_merge {
    enum command_merge_topic topic;
    enum command_merge_state state;
    unsigned resp, elements; /* elements of an entry */
    uint32_t mine;           /* the own commands that the answer lacks: a set (protocol/own_command.h) */
    bool by_name;            /* INFO and DOCS of names, and of nothing else */
    bool bare_info;          /* INFO without names: all commands since Redis 7, none before */
    struct request_args names;
    struct reply_scan element; /* in state PLACE */
    bool replaced;             /* the element gives way */
    void (*put)(void *to, const void *bytes, size_t len);
    void *to;
};

/* False when nothing of ours belongs into the answer to this call: it may pass as it is. */
bool command_merge_start(struct command_merge *merge, const struct command *row, const uint8_t *call, size_t len,
                         unsigned resp);

/* The server is to be asked this. */
enum { COMMAND_MERGE_ASK_MAX = 512 };
void command_merge_ask(struct reply_writer *w);
/* Its answer, whole; whatever it cannot be understood as changes nothing. Then `mine` may be empty. */
void command_merge_learn(struct command_merge *merge, const uint8_t *bytes, size_t len);

/* Whether all names that the client asked for are ours, so that the server need not be asked. */
bool command_merge_is_all_ours(const struct command_merge *merge);
/* The whole answer from here. */
void command_merge_alone(struct command_merge *merge);

/* The next bytes of the server's reply, as a lane hands them on: cut where the reply scanner stopped. */
void command_merge_feed(struct command_merge *merge, const uint8_t *bytes, size_t len, bool last);
