/*
 * What respgate says about the commands that it adds to those of a server, i.e. the rows of class LIMIT of the command
 * table, to a client that asks with COMMAND, COMMAND INFO, DOCS, LIST or GETKEYS. Shapes and words are those of a Redis
 * server (Redis documentation: COMMAND, COMMAND DOCS, key specifications, command arguments); what the commands take is
 * said by limiter/'s grammar. Name, arity and flags come from the command table, the rest from one table here.
 *
 * Constant, shared by all threads, nothing to free. A set of commands is a word with a bit for each.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/command.h"
#include "protocol/reply.h"
#include "protocol/resp.h"

enum { OWN_COMMANDS = 16, OWN_NONE = -1, OWN_ENTRY_MAX = 8192 };
static const uint32_t OWN_ALL = (UINT32_C(1) << OWN_COMMANDS) - 1;

enum own_keys {
    OWN_NO_KEY,
    OWN_FIRST_KEY,     /* argument 1 */
    OWN_ALL_KEYS,      /* argument 1 to the last */
    OWN_NUMBERED_KEYS, /* argument 1 says how many follow it */
};

/* What becomes of a key, as the flags of key specifications say it. */
enum own_access {
    OWN_READS,    /* RO access */
    OWN_UPDATES,  /* RW access update */
    OWN_RELEASES, /* RW delete: takes something out of the key */
    OWN_REMOVES,  /* RM delete */
};

enum own_type { OWN_STRING, OWN_INTEGER, OWN_DOUBLE, OWN_KEY, OWN_TIME, OWN_TOKEN, OWN_ONE_OF, OWN_BLOCK };

/* An argument as COMMAND DOCS describes it. */
struct own_argument {
    const char *name;
    const char *token;                    /* the word before it, or that it is; NULL: none */
    const struct own_argument *arguments; /* of ONE_OF and BLOCK */
    uint8_t argument_count;
    uint8_t type; /* enum own_type */
    bool optional, multiple;
};

struct own_command {
    const char *name; /* lower case */
    const char *summary, *complexity;
    const struct own_argument *arguments;
    uint8_t argument_count;
    uint8_t keys;   /* enum own_keys */
    uint8_t access; /* enum own_access */
};

const struct own_command *own_command_at(unsigned i);

/* The number of the command of that name, in any case; OWN_NONE when it is none of ours. */
int own_command_find(const uint8_t *name, size_t len);

/* Those that COMMAND LIST FILTERBY PATTERN and FILTERBY ACLCAT select. */
uint32_t own_commands_like(const uint8_t *pattern, size_t len);
uint32_t own_commands_in(const uint8_t *category, size_t len);

/* --- own_entry.c: as a reply says it, at most OWN_ENTRY_MAX bytes each --- */

void own_entry_name(struct reply_writer *w, unsigned i);
/* An entry of COMMAND with as many elements as the server's have: 6 (Redis 5), 7 (Redis 6) or 10. */
void own_entry_info(struct reply_writer *w, unsigned i, unsigned resp, unsigned elements);
/* Name and description: a pair of the map that COMMAND DOCS is. */
void own_entry_docs(struct reply_writer *w, unsigned i, unsigned resp);

/*
 * The answer to COMMAND GETKEYS, `with_flags` to GETKEYSANDFLAGS, about a call of ours, whose arguments behind its name
 * come next. NULL, or the error without the leading '-'. It takes the call's bytes and OWN_KEY_ROOM for each argument.
 */
enum { OWN_KEY_ROOM = 80 };
const char *own_entry_keys(struct reply_writer *w, unsigned i, unsigned resp, bool with_flags,
                           struct request_args arguments);
