/*
 * The data path's view of one configuration: plain numbers and strings, and the backends in their order. Immutable,
 * shared by all threads, counted: a reload makes a new one, which workers take up one after another.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "limiter/adopt.h"
#include "limiter/limit_call.h"
#include "limiter/repair.h"
#include "limiter/rule.h"
#include "protocol/command.h"
#include "protocol/resp.h"

struct conf;
struct backend;
struct limit_book;
struct repair_book;

enum auth_mode { AUTH_NONE, AUTH_PASSWORD, AUTH_BACKEND };

struct user {
    char *name;
    uint8_t digest[32]; /* SHA-256 of the password; the text is not kept */
};

/* What becomes of a client when another data set is switched to (fallback.on_dataset_change). */
enum dataset_change { DATASET_CLOSE, DATASET_ERROR_ONCE, DATASET_CONTINUE };

enum { BACKENDS_MAX = 32 };

/* Commands that may go as others, though no key says so. */
enum settings_rewrite {
    REWRITE_NOTHING,
    REWRITE_SCRIPT,  /* some are limits (adopt.h), or are to see what is reserved (repair.h) */
    REWRITE_VISIBLE, /* it names keys, and rules may keep companions: visible_dispatch.h */
};

/* A waiter for a semaphore asks at least three times within this, or it has lost its place in the queue. */
enum { LIMITER_TICKET_MS = 3000 };

/* What limiter commands follow that carry their numbers with them, and what all of them share. */
struct limiter_settings {
    struct limit_settings calls;
    enum rule_on_down on_backend_down;
    unsigned local_share; /* percent */
    size_t memory;
    bool caches; /* some rule keeps denials */
};

struct settings {
    struct conf *conf; /* owns the strings here */
    atomic_uint refs;
    struct backend *backends[BACKENDS_MAX]; /* by priority, then as written */
    unsigned n_backends;
    const char *listen_address;
    const char *unix_socket;
    unsigned unix_socket_mode;
    unsigned workers;
    unsigned max_clients;
    enum auth_mode auth;
    struct user *users;
    size_t n_users;
    uint64_t login_timeout_ms, idle_timeout_ms, drain_timeout_ms;
    struct request_limits limits;
    size_t query_buffer, stream_threshold;
    size_t reply_buffer, reply_buffer_max;
    uint64_t slow_client_timeout_ms;
    unsigned pipeline_depth;
    size_t script_cache;
    bool *refused;    /* by command index */
    uint8_t *classes; /* enum request_class, by command index */
    bool *unbilled;   /* by command index: what a provider that charges per command gives for nothing */
    struct limiter_settings limiter;
    struct rule_table *rules;
    struct repair_table *repairs;
    struct adopt_table *adoptions;
    struct limit_book *limit_book;   /* all of those, and what is counted of each */
    struct repair_book *repair_book; /* what is seen of those of repair; NULL: there are none */
    bool enforces;                   /* not all of those only observe */
    bool shows;                      /* some show reservations to scripts */
    bool *repaired;                  /* by command index: a rule of repair may have to do with it */
    uint8_t *rewritten;              /* enum settings_rewrite, by command index */
    bool repaired_keys[256];         /* the same by a key's first byte */
    uint64_t queue_timeout_ms;
    uint64_t hang_threshold_ms;
    uint32_t slow_us; /* UINT32_MAX: nothing is slow */
    enum dataset_change on_dataset_change;
    bool wait_when_all_down;
    bool close_on_unknown;
};

/* Asked of every request: whether it is worth looking for a rule of repair. */
static inline bool settings_may_repair(const struct settings *settings, const struct command *row, const uint8_t *key,
                                       size_t len)
{
    return settings->repaired[row->index] && (!len || settings->repaired_keys[key[0]]);
}

/*
 * Takes over `conf`; one reference is the caller's. Backends of `before` (may be NULL) that did not change are shared
 * with it, their certificates read anew. NULL with a message in `error` when values contradict each other or a file
 * cannot be read; then `conf` is the caller's still.
 */
struct settings *settings_new(struct conf *conf, const struct settings *before, char *error, size_t error_len);
struct settings *settings_ref(struct settings *settings);
void settings_unref(struct settings *settings); /* NULL is fine; any thread */
