/*
 * The command table: what a proxy that shares connections must know about each command of Redis, Valkey and Upstash.
 * Rows come from protocol/commands.tsv (made from the public command tables of those servers); a generator turns it
 * into a sorted constant table with a hash index at build time. Read-only, shared by all threads, nothing to free.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What to do with a command; the words of commands.tsv. */
enum command_class {
    COMMAND_SHARED,  /* send on the client's shared lane; one reply */
    COMMAND_PIN,     /* needs a dedicated backend connection until its `unpin` event */
    COMMAND_LOCAL,   /* answered by the proxy, in order behind the client's outstanding replies */
    COMMAND_REWRITE, /* sent or answered changed (CLIENT LIST, KILL, UNBLOCK) */
    COMMAND_REFUSE,  /* an error by default; configuration may allow it */
    COMMAND_LIMIT,   /* sent as a script (limiter/); also what only other servers have */
};

/* On which connection a SHARED or PIN command goes. */
enum command_lane {
    COMMAND_ON_NONE,
    COMMAND_ON_SHARED,
    COMMAND_ON_PIN,
    COMMAND_ON_CONTROL, /* a connection on which nothing can be queued before it (SCRIPT KILL) */
    COMMAND_ON_OWN,     /* the client's own lane, taken out of sharing for this command (WAIT) */
};

/* Flags as COMMAND INFO of a server names them. */
enum {
    COMMAND_READ = 1 << 0,
    COMMAND_WRITE = 1 << 1,
    COMMAND_ADMIN = 1 << 2,
    COMMAND_DANGEROUS = 1 << 3,
    COMMAND_BLOCKING = 1 << 4,
    COMMAND_PUBSUB = 1 << 5,
    COMMAND_NO_AUTH = 1 << 6,
    COMMAND_NO_MULTI = 1 << 7,
    COMMAND_NOSCRIPT = 1 << 8,
    COMMAND_DENYOOM = 1 << 9,
    COMMAND_ALLOW_BUSY = 1 << 10,
    COMMAND_MOVABLE_KEYS = 1 << 11,
    COMMAND_MODULE = 1 << 12,
    COMMAND_PROTECTED = 1 << 13,
    COMMAND_MAY_REPLICATE = 1 << 14,
    COMMAND_ONLY_SENTINEL = 1 << 15,
};

/*
 * Commands the proxy treats by name. An id is named after its row: CMD_<COMMAND>[_<SUBCOMMAND>]; every other row is
 * CMD_OTHER. Kept as an X-macro so that the generator, the switch statements and the tests use one list.
 */
/* clang-format off */
#define COMMAND_IDS(X)                                                                                                 \
    X(AUTH) X(HELLO) X(SELECT) X(RESET) X(QUIT) X(POST) X(HOST) X(MULTI) X(EXEC) X(DISCARD) X(WATCH) X(UNWATCH)        \
    X(SUBSCRIBE) X(UNSUBSCRIBE) X(PSUBSCRIBE) X(PUNSUBSCRIBE) X(SSUBSCRIBE) X(SUNSUBSCRIBE) X(MONITOR) X(WAIT)         \
    X(WAITAOF) X(XREAD) X(XREADGROUP) X(TS_READ) X(EVAL) X(EVAL_RO) X(EVALSHA) X(EVALSHA_RO) X(FCALL) X(SCRIPT_LOAD)   \
    X(SCRIPT_FLUSH) X(ASKING) X(READONLY) X(READWRITE) X(CLIENT_ID) X(CLIENT_SETNAME) X(CLIENT_GETNAME)                \
    X(CLIENT_SETINFO) X(CLIENT_INFO) X(CLIENT_LIST) X(CLIENT_KILL) X(CLIENT_UNBLOCK) X(CLIENT_TRACKING)                \
    X(CLIENT_CACHING) X(CLIENT_TRACKINGINFO) X(CLIENT_GETREDIR) X(CLIENT_REPLY) X(CLIENT_NO_EVICT) X(CLIENT_NO_TOUCH)  \
    X(CLIENT_IMPORT_SOURCE) X(CLIENT_CAPA) X(CLIENT_MAINT_NOTIFICATIONS) X(CLIENT_ANY) X(HIMPORT_ANY) X(ACL_SETUSER)   \
    X(ACL_DELUSER) X(ACL_LOAD) X(PING) X(CL_THROTTLE) X(INCREX) X(LIM_GCRA) X(LIM_MULTI) X(LIM_REFUND) X(LIM_RESET)    \
    X(LIM_SLIDE) X(LIM_TRY) X(LIM_WINDOW) X(SEM_ACQUIRE) X(SEM_CHECK) X(SEM_COUNT) X(SEM_HOLDERS) X(SEM_RELEASE)       \
    X(SEM_RENEW) X(SEM_REVOKE) X(RESPGATE_STATUS) X(RESPGATE_ANY) X(COMMAND_ANY) X(COMMAND_COUNT) X(COMMAND_DOCS)      \
    X(COMMAND_GETKEYS) X(COMMAND_GETKEYSANDFLAGS) X(COMMAND_INFO) X(COMMAND_LIST) X(ZCARD) X(ZCOUNT) X(ZADD)           \
    X(ZINCRBY) X(ZREMRANGEBYSCORE) X(SCARD) X(SADD) X(LLEN) X(LPUSH) X(LPUSHX) X(RPUSH) X(RPUSHX) X(GET) X(INCR)       \
    X(INCRBY) X(INCRBYFLOAT) X(DECR) X(DECRBY) X(EXPIRE) X(EXPIREAT) X(PEXPIRE) X(PEXPIREAT) X(KEYS)      \
    X(SCAN) X(RANDOMKEY) X(SCRIPT_EXISTS)

enum command_id {
    CMD_OTHER,
#define X(name) CMD_##name,
    COMMAND_IDS(X)
#undef X
    CMD_UNKNOWN, /* not in the table */
};
/* clang-format on */

struct command {
    const char *name;       /* upper case */
    const char *subcommand; /* upper case; "*" for a container's fallback row; NULL when it has none */
    uint8_t name_len;
    uint8_t subcommand_len;
    uint8_t cls;  /* enum command_class */
    uint8_t lane; /* enum command_lane */
    uint8_t id;   /* enum command_id */
    int8_t arity; /* as COMMAND INFO: counts the name, negative = at least; 0 = not known */
    uint16_t flags;
    uint16_t index; /* position in the table, for counters: 0 .. command_count() - 1 */
};

/*
 * The row of a command. Names match case-insensitively and on the full bytes. `sub` may be NULL when the command has
 * one argument only. Never NULL: an unknown name gives the <UNKNOWN> row (id CMD_UNKNOWN, class PIN); a container
 * command without a subcommand, or with one that has no row, gives its "*" row, or <UNKNOWN> when it has none.
 */
const struct command *command_find(const uint8_t *name, size_t name_len, const uint8_t *sub, size_t sub_len);

/* Whether argc (which counts the name) satisfies the row's arity. */
bool command_arity_ok(const struct command *command, uint32_t argc);

size_t command_count(void);
const struct command *command_at(size_t index);
