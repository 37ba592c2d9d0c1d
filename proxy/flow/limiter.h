/*
 * What a worker keeps for limiter commands: the parser's room, which scripts the backend is known to have, denials that
 * still hold, counts made while no backend is usable, and who waits for a place of a semaphore.
 *
 * All of it may be lost: the state of limits lives in the backend. A script is sent as text (EVAL) the first time after
 * a connection to the backend was lost, later by its digest; NOSCRIPT, which proves that nothing ran, is repaired by
 * sending the call again as text.
 *
 * Thread and owner: its worker.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "limiter/adopt.h"
#include "limiter/limit_call.h"
#include "limiter/rule.h"
#include "proxy/flow/settings.h"
#include "proxy/net/loop.h"

struct backend;
struct command;
struct deny_cache;
struct lease_book;
struct lease_order;
struct limit_kept;
struct limit_wait;
struct local_limit;
struct pool;
struct worker;

/* Whether the backend has INCREX itself: the first call finds out. */
enum increx_support { INCREX_UNKNOWN, INCREX_NATIVE, INCREX_MISSING };

struct limiter {
    struct worker *worker;
    struct limit_call call;          /* the command that was parsed last */
    const struct rule *rule;         /* by which it was called (LIM.TRY); NULL: none */
    const struct adoption *adoption; /* whose script it was; NULL: it is a limiter command */
    const char *error;               /* why it could not be parsed */
    const struct command *row;       /* of the call: LIM.TRY is another one */
    struct limit_slice args[LIMIT_ARGS_MAX];
    struct rule_call expanded;
    struct adopt_room adopted; /* the script that was read last */
    uint8_t *key;              /* of a LIM.TRY */
    size_t key_cap;
    uint8_t *out; /* a request to be sent */
    size_t out_cap;
    uint64_t epoch;       /* counts what the backend may have lost, or become another */
    uint64_t flushes;     /* the crew's script_flushes when `loaded` was last looked at */
    uint64_t lowered;     /* the crew's limits_lowered when `denials` was last looked at */
    uint64_t down_logged; /* the epoch of the choice at which the log was told that calls are answered here */
    bool loaded[SCRIPT_COUNT];
    enum increx_support increx;
    struct deny_cache *denials;  /* NULL: none are kept */
    struct local_limit *local;   /* NULL: nothing was counted here yet */
    struct lease_book *leases;   /* NULL: none was ever given */
    struct lease_order **orders; /* by worker, for those whose books they concern; NULL: there was none */
    struct deferred send_leases;
    bool sends_leases; /* it is deferred */
    SLIST_HEAD(, limit_kept) spare;
    unsigned n_spare;
    TAILQ_HEAD(, limit_wait) waits; /* who waits, the oldest first */
    unsigned n_waits;
};

/* NULL without memory. */
struct limiter *limiter_new(struct worker *worker);
void limiter_free(struct limiter *limiter); /* NULL is fine */

/* The backend may not know any more what it knew, or is another one. */
void limiter_new_epoch(struct limiter *limiter);
/* The worker has other settings, and those before still live. */
void limiter_reconfigure(struct limiter *limiter);

/* Parses a command of class LIMIT in canonical form into `call`, which points into `bytes`. False: see `error`. */
bool limiter_parse(struct limiter *limiter, const struct command *row, const uint8_t *bytes, size_t len);

/* The key of a rule's subject, in the room that LIM.TRY uses. False: no memory. */
bool limiter_key(struct limiter *limiter, const struct rule *rule, const uint8_t *subject, size_t len,
                 struct limit_slice *key);

/* Writes the parsed call's request to `out` and returns its length. */
size_t limiter_encode(struct limiter *limiter, const struct backend *backend, enum limit_form form,
                      int64_t deadline_us);
/* The form in which the parsed call's script must be sent now; then it counts as loaded. */
enum limit_form limiter_form(struct limiter *limiter);
/* The moment of the backend's clock after which the parsed call must do nothing. */
int64_t limiter_deadline_us(struct limiter *limiter, const struct backend *backend);

/* What the configuration says of the parsed call. */
enum rule_on_down limiter_on_down(const struct limiter *limiter);
unsigned limiter_local_share(const struct limiter *limiter);
bool limiter_may_cache(const struct limiter *limiter);
struct local_limit *limiter_local(struct limiter *limiter); /* NULL without memory */
struct lease_book *limiter_leases(struct limiter *limiter); /* likewise */

/* Something that may lower what keys count passes by, or has passed: denials that are kept may be wrong. */
void limiter_note_lowered(struct limiter *limiter);
/* Denials are kept apart by the epoch of their sending, db and user: who may not ask is not told what others were. */
uint64_t limiter_deny_epoch(uint64_t epoch, const struct pool *pool);
/* The cache, without what other workers' clients have made doubtful. NULL: none. */
struct deny_cache *limiter_denials(struct limiter *limiter);
