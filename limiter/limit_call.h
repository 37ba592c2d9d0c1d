/*
 * A limiter command on its way to a backend: parsed out of the client's arguments, then encoded as one EVALSHA or EVAL
 * of a script in limiter/scripts. Nothing is copied but numbers and error texts: the call points into the arguments,
 * which must live and stay where they are until the last limit_call_encode(). A call is large: keep one a worker and
 * use it again. No I/O, no clock, no allocation; one thread at a time; nothing to free.
 * Rule: redis-cell's README and source for CL.THROTTLE, Redis 8.8 for INCREX; each grammar stands in limiter/scripts.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "limiter/number.h"
#include "limiter/script.h"

struct command;

enum {
    LIMIT_ARGS_MAX = 1100,   /* most arguments of a command, its name included */
    LIMIT_MULTI_MAX = 64,    /* most limits of one LIM.MULTI */
    LIMIT_TOKENS_MAX = 1000, /* most tokens, holders, weight and slots: a script passes so many values at once */
    LIMIT_KEYS_MAX = 2 * LIMIT_ARGS_MAX,
    LIMIT_ARGUMENTS_MAX = 2 * LIMIT_TOKENS_MAX + 32, /* most arguments of a script: so many members with scores */
    LIMIT_ERROR_MAX = 256,
};

/* Scripts compute times in doubles of microseconds: no limit, lease or delay is longer than a hundred years. */
#define LIMIT_LONGEST_MS INT64_C(3153600000000)
/* The deadline of a call that has none. */
#define LIMIT_NEVER_US ((INT64_C(1) << 53) - 1)

/* Bytes that are the caller's. */
struct limit_slice {
    const uint8_t *bytes;
    size_t len;
};

/* What the configuration says about the calls of a client. */
struct limit_settings {
    bool throttle_exact; /* CL.THROTTLE: retry_after 0 for less than a millisecond, as redis-cell */
    bool reservations;   /* semaphores count the reservations of check-then-act clients, too */
    uint32_t ticket_ms;  /* a fair waiter that did not ask again for so long has lost its turn: three polls */
};

/* How the script's reply becomes the client's, see limit_verdict.h. */
enum limit_shape {
    LIMIT_AS_IT_IS,
    LIMIT_INCREX_INTEGERS,
    LIMIT_INCREX_FLOATS,
    LIMIT_TOLD, /* the third of three; the first two are for the caller: limit_told() */
};

/* KEYS: those names of a client's key whose bits (enum companion_kind) are set. */
struct limit_key {
    const uint8_t *bytes;
    uint32_t len;
    uint16_t slot;
    uint8_t kinds;
};

/* One of ARGV: bytes, or a number that is printed when it is encoded. */
struct limit_argument {
    union {
        const uint8_t *bytes;
        int64_t number;
    };
    uint32_t len;
    bool is_number;
};

struct limit_call {
    enum limit_script_id script;
    enum limit_shape shape;
    bool repeatable; /* carries a token or an id, or only looks: sent twice it does no more than once */
    bool same_slot;  /* the client's keys share one; in a cluster the call is an error else */
    bool fair;       /* waits in a queue (FIFO): see limit_call_leave() */
    int64_t wait_ms; /* WAIT: how long the caller asks again before it passes on a denial */
    uint32_t key_count, argument_count;
    struct limit_slice id;     /* IDEM */
    struct limit_slice client; /* a script of the client's, which runs as client(KEYS, ARGV); the same; empty: none */
    const char *after; /* Lua that makes the reply of limit(), which is the script; for LIMIT_EVAL only; NULL: none */
    char error[LIMIT_ERROR_MAX];
    char texts[3][NUMBER_FLOAT_MAX]; /* arguments that are made here */
    struct limit_key keys[LIMIT_KEYS_MAX];
    struct limit_argument arguments[LIMIT_ARGUMENTS_MAX];
};

/*
 * Parses a command of class COMMAND_LIMIT, whose row this is; args[0] is its name. False: call->error is the text of
 * the error reply, without '-', and may hold bytes of the client's that reply_error() must blank.
 */
bool limit_call_parse(struct limit_call *call, const struct command *row, const struct limit_slice *args, uint32_t argc,
                      const struct limit_settings *settings);

/* Asks how many places of the semaphore at `key` are held, for people (scripts/sem_leases.lua). */
void limit_call_leases(struct limit_call *call, const struct limit_slice *key, int64_t max);

/*
 * Turns a parsed SEM.ACQUIRE ... FIFO into what gives up its place in the queue; to be sent when its WAIT is over or
 * its client is gone. The reply is for nobody.
 */
void limit_call_leave(struct limit_call *call);
/*
 * Turns a parsed SEM.ACQUIRE that was granted with this fence into what gives the place back; to be sent when its
 * client is gone. A client that has come back with the same token keeps it: each grant to it has another end. So fence
 * plus lease must be the end; where the backend's clock went back they are not, and the lease runs off instead.
 */
void limit_call_give_back(struct limit_call *call, int64_t fence);

enum limit_form {
    LIMIT_EVALSHA,
    LIMIT_EVAL, /* with the script's text: within MULTI, where NOSCRIPT would spoil the transaction */
};

/*
 * Writes the request in RESP to `out` and returns its length; with NULL only returns it. `deadline_us` is the last
 * microsecond of the backend's clock at which the script may still act.
 */
size_t limit_call_encode(const struct limit_call *call, enum limit_dialect dialect, enum limit_form form,
                         int64_t deadline_us, uint8_t *out);
