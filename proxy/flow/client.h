/*
 * One connected application client: its input, its place in the order of replies, its session.
 *
 *   OPEN ──(QUIT, protocol error, ...)──> FINISHING ──(replies written)──> GONE ──(last reply dropped)──> freed
 *     └────────(connection lost, killed, slow)─────────────────────────────^
 *
 * Input is taken command by command. When the next command cannot be taken yet, a gate closes and the command stays in
 * the connection's kept input until the gate opens; then it is tried again. All requests of a client in flight are on
 * one lane at any time, so replies need no sorting: a command for another lane, or one answered here, first waits
 * (DRAIN).
 *
 * Thread and owner: its worker. Freed by the loop once it is GONE and has no request in flight.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "protocol/command.h"
#include "protocol/pubsub.h"
#include "protocol/reply.h"
#include "protocol/resp.h"
#include "proxy/flow/lane.h"
#include "proxy/flow/limit_kept.h"
#include "proxy/flow/pool.h"
#include "proxy/flow/request.h"
#include "proxy/flow/worker.h"
#include "proxy/net/conn.h"
#include "proxy/net/owner.h"

enum client_state { CLIENT_OPEN, CLIENT_FINISHING, CLIENT_GONE };

/* Why the next command waits. */
enum gate {
    GATE_OPEN,
    GATE_DRAIN,  /* for the replies to all earlier commands */
    GATE_DEPTH,  /* too many requests in flight */
    GATE_LANE,   /* the lane has too much to send */
    GATE_POOL,   /* for a pin, or the backend's word on a key */
    GATE_ERRAND, /* for an errand to come back from the other workers */
    GATE_WAIT,   /* for a place of a semaphore */
    GATE_READ,   /* for the client to read what was answered here */
};

enum { CLIENT_KEY_LEN = 16 };

enum reply_mode { REPLY_ON, REPLY_OFF, REPLY_SKIP_NEXT, REPLY_SKIP_THIS };

/* What a request's reply means for the session; PLAIN means nothing. */
enum request_kind {
    REQUEST_PLAIN,
    REQUEST_ONCE,    /* on a pin, leaves no state */
    REQUEST_STICK,   /* on a pin; unless it fails, the pin stays until the client closes */
    REQUEST_FOREIGN, /* unknown command: unless it fails, the connection is not used again */
    REQUEST_MULTI,
    REQUEST_EXEC,
    REQUEST_DISCARD,
    REQUEST_ABORT,      /* DISCARD in place of an EXEC that must fail */
    REQUEST_BURST_EXEC, /* the EXEC of a whole block on a shared lane */
    REQUEST_WATCH,
    REQUEST_UNWATCH,
    REQUEST_CONFIRM, /* (un)subscribing */
    REQUEST_TRACKING_ON,
    REQUEST_TRACKING_OFF,
    REQUEST_MONITOR,
    REQUEST_SCRIPT,  /* EVALSHA that can be healed */
    REQUEST_LIMIT,   /* a limiter call, sent as a script */
    REQUEST_LOWERS,  /* it may lower what limits count */
    REQUEST_COMMAND, /* COMMAND and its kin, whose answer is to name respgate's own commands as well */
};

/* Session state that needs the pin it has. */
struct session {
    bool tx_open : 1;     /* between MULTI and EXEC or DISCARD */
    bool tx_foreign : 1;  /* something was queued that changes the session or the framing of EXEC's reply */
    bool tx_adopts : 1;   /* something was queued that changes what the connection is */
    bool tx_lowers : 1;   /* something was queued that may lower what limits count */
    bool tx_poisoned : 1; /* something was refused here: EXEC must fail */
    bool watching : 1;
    bool watches_held : 1; /* while watching: keys of checks that reserve, and so their reservations */
    bool tracking : 1;
    bool adopted : 1;    /* db, RESP version or name are the connection's own now */
    bool stuck : 1;      /* until the client closes */
    bool redirected : 1; /* the target of somebody's CLIENT TRACKING REDIRECT */
    bool overflow : 1;   /* replies pile up: a connection of its own lets the backend hold them */
    bool own_lane : 1;   /* WAIT: its writes went over this lane */
    uint8_t confirming;  /* enum pubsub_kind of a long confirmation under way */
    uint32_t channels, patterns, shards;
    uint32_t pubsub_total; /* the last count the backend gave for channels and patterns together */
};

static inline uint64_t session_subscriptions(const struct session *session)
{
    return (uint64_t)session->channels + session->patterns + session->shards;
}

/* Rarely set, so not in the client itself. */
struct client_names {
    char *name, *lib_name, *lib_version, *user;
    bool no_evict;
};

struct client {
    struct conn conn;
    struct requester requester;
    struct lane_holder holder;
    struct pool_waiter pool_waiter;
    struct lane_waiter lane_waiter;
    struct reapable reapable;
    TAILQ_ENTRY(client) link;
    TAILQ_ENTRY(client) throttling;
    struct worker *worker;
    struct pool *pool;      /* of its user, db and RESP version */
    struct lane *lane;      /* the shared lane it sticks to; NULL when none */
    struct lane *pin;       /* its own lane; NULL when none */
    struct lane *throttles; /* the lane it holds up by not reading */
    struct lane *waits_for; /* the lane it waits for (GATE_LANE) */
    struct client_names *names;
    struct block *kept_calls, *kept_calls_tail; /* EVALSHA calls in flight that may have to be sent again */
    struct limit_kept_list limit_calls;         /* limiter calls in flight */
    struct limit_kept *promise;        /* a check that was told that it has a place; NULL: none since the last act */
    struct limit_wait *wait;           /* the limiter command at the front waits for a place; NULL: it does not */
    uint64_t waits_since_ms;           /* that it waits for a lane to open; 0: it does not */
    struct command_info *command_info; /* COMMAND in flight whose reply is changed on its way; NULL = none */
    struct tour *tour; /* what came back from the other workers for the command at the front; NULL = nothing */
    uint64_t id;
    uint64_t created_ms, active_ms, throttled_ms;
    const struct command *last_command;
    const struct command *key_command; /* of the last request that was alone when it was taken */
    char key[CLIENT_KEY_LEN];          /* how its first argument begins */
    uint8_t key_len;
    struct request_scan scan;
    struct session session;
    uint32_t inflight;
    uint32_t limit_resent; /* how many of limit_calls were sent again */
    enum client_state state : 8;
    enum gate gate : 8;
    enum reply_mode reply_mode : 8;
    enum pool_outcome outcome : 8; /* what became of the wait, when has_outcome */
    bool has_outcome : 1;
    bool scanned : 1;   /* the command at the front is complete */
    bool streaming : 1; /* the command at the front goes to the pin as it comes */
    bool blocked : 1;   /* a blocking command is in flight on the pin */
    bool at_eof : 1;
    bool authenticated : 1;
    bool is_unix : 1;
    bool throttled : 1;    /* it must read: in the worker's list, since throttled_ms */
    bool leaving : 1;      /* goes over to another backend once nothing is in flight */
    bool must_be_told : 1; /* its next command is answered that the data set has changed */
    bool not_replied : 1;  /* the reply being handled is not the last word, or counted as something else */
    bool lowers : 1;       /* something in flight may lower what limits count, and its reply is not told from others */
    bool limit_direct : 1; /* what is being told is not held back */
    bool has_worked : 1;   /* it sent a command that is more than to greet, to log in or to name itself */
};

/* How far call_arg() has walked, so that a loop over all arguments walks once. */
struct arg_cursor {
    struct request_args args;
    uint32_t next; /* number of the argument that args gives next; 0: not started */
};

/* One command at the front of a client's input. */
struct call {
    const uint8_t *bytes; /* canonical array form */
    size_t len;           /* of the command */
    size_t available;     /* from its first byte to the end of what was received; == len when re-framed */
    uint32_t argc;
    const struct command *row;
    const uint8_t *name, *sub; /* sub is NULL when argc is 1 */
    size_t name_len, sub_len;
    struct arg_cursor *cursor; /* NULL: each call_arg() walks from the start */
};

/* Its last command was accepted. */
static inline void client_count_request(struct client *client)
{
    count(client->worker, accepted);
    if (client->last_command) /* a line that is no command may be the first */
        counter_add(&client->worker->commands[client->last_command->index], 1);
}

/* What kind of request that was; a line that is no command is of the kind other. */
static inline unsigned client_class(const struct client *client)
{
    return client->last_command ? client->worker->settings->classes[client->last_command->index] : REQUEST_CLASS_other;
}

/* --- client.c --- */

void client_accept(struct worker *worker, int fd, bool is_unix);
/* Closes at once. */
void client_close(struct client *client, const char *reason);
/* Takes no further command, closes when everything queued is written. */
void client_finish(struct client *client, const char *reason);

void client_shut(struct client *client, enum gate gate);
void client_open_gate(struct client *client);
/* True when nothing is in flight; else shuts the gate until then. */
bool client_drained(struct client *client);
/* True, and the gate is shut, when the lane has too much to send. */
bool client_waits_for_lane(struct client *client, struct lane *lane);
/* The same for a lane that is not open: until it is, or was lost, or a little time is over. */
void client_wait_for_lane(struct client *client, struct lane *lane);

void client_move_to_pool(struct client *client, struct pool *pool);
void client_leave_lane(struct client *client);

/* --- client_send.c --- */

/* Sends the command being taken on `lane`. */
struct request *client_send(struct client *client, struct lane *lane, enum request_kind kind, const void *bytes,
                            size_t len);

/* Sends, in place of what `before` was answered, the same once more or what follows from it: to the ledger it is the
 * same request, and the reply being handled is not the last word. */
struct request *client_send_again(struct client *client, struct lane *lane, const struct request *before,
                                  enum request_kind kind, const void *bytes, size_t len);

/* --- client_answer.c --- */

/* Whether the reply of the command being taken is dropped (CLIENT REPLY). */
bool client_is_muted(const struct client *client);

/* Ends the taking of one command that was answered here: `outcome` is a counter of the ledger. Never with replies due.
 */
void client_answer(struct client *client, const struct reply_writer *reply, _Atomic uint64_t *outcome);
/* The same for what a backend has said: its errors are counted already. */
void client_pass_answer(struct client *client, const struct reply_writer *reply, _Atomic uint64_t *outcome);
void client_answer_error(struct client *client, const char *text, _Atomic uint64_t *outcome);
/* So many requests were not done, for a reason of ours. */
void client_count_failure(struct client *client, unsigned class, enum error_code code, uint32_t n);
void client_answer_ok(struct client *client);
/* Lines for people: a bulk string, in RESP3 a verbatim one. */
void client_answer_text(struct client *client, const char *text, size_t len);

/* --- clients.c --- */

/* NULL when this worker has no such client. */
struct client *client_find(const struct worker *worker, uint64_t id);

/* For the worker's clocks. */
void clients_tick(struct worker *worker, uint64_t now_ms);
void clients_second(struct worker *worker, uint64_t now_ms);
/* Closes all that are idle, the others as soon as they are. */
void clients_drain(struct worker *worker);
void clients_close_all(struct worker *worker, const char *reason);
void clients_leave_pool(struct worker *worker, struct pool *pool, const char *reason);

static inline struct client *client_of(struct conn *conn)
{
    return OWNER_OF(conn, struct client, conn);
}

/* --- dispatch.c --- */

/* Takes the command at the front; returns the bytes consumed, 0 when it must wait (then a gate is shut). */
size_t dispatch(struct client *client, const uint8_t *bytes, size_t len, size_t available);
/* The shared lane, or the pin when there is one; NULL: the command must wait. */
struct lane *dispatch_lane(struct client *client);
/* Sends on it. */
size_t dispatch_plain(struct client *client, const struct call *call);
/* What a plain command's reply means; one that may make kept denials wrong makes them forgotten now and then. */
enum request_kind dispatch_plain_kind(struct client *client, const struct call *call);
size_t dispatch_refused(struct client *client, const struct call *call);
/* Answers that the backend cannot be asked now. What came along behind a MULTI or WATCH must not run without it. */
size_t dispatch_unserved(struct client *client, const struct call *call, const char *text, _Atomic uint64_t *outcome);

/* --- pin.c --- */

/* A lane of its own for the command being taken. False: the command must wait, or was answered (*consumed). */
bool pin_acquire(struct client *client, struct pool *pool, const struct call *call, size_t *consumed);
bool pin_is_held(const struct client *client);   /* the session needs the pin */
bool pin_has_state(const struct client *client); /* and would be lost without it */
void pin_release_if_free(struct client *client);
/* Lets go of the pin whatever state it has. */
void pin_drop(struct client *client);
size_t pin_start(struct client *client, const struct call *call);
size_t pin_wait_command(struct client *client, const struct call *call);
/* From now on replies are copied, not parsed. */
void pin_become_tunnel(struct client *client);
/* Sends a command after which nothing can be taken until its reply is known. */
size_t pin_send_and_wait(struct client *client, const struct call *call, enum request_kind kind);
bool pin_is_subscribing(const struct command *row);
/* Messages are arrays as replies are, not pushes. */
bool pin_has_messages(const struct client *client);

/* --- session_dispatch.c, session_reply.c --- */

size_t session_dispatch(struct client *client, const struct call *call);
/* What a reply means; true when the reply was dealt with and must not be passed on. */
bool session_on_reply(struct client *client, struct lane *lane, struct request *request, const uint8_t *bytes,
                      size_t len, bool last);
extern const struct lane_holder_ops client_holder_ops;

/* --- burst.c --- */

/* MULTI ... EXEC, when it is there whole: the bytes consumed, or 0 when it cannot go as one block. */
size_t burst_try(struct client *client, const struct call *call, struct lane *lane);

/* --- stream.c --- */

/* The command at the front is too large to be held: sends it as it comes. Returns bytes consumed. */
size_t stream_begin(struct client *client, const uint8_t *bytes, size_t len);
size_t stream_continue(struct client *client, const uint8_t *bytes, size_t len);

/* --- throttle.c --- */

/* The client has more unread replies than it may: stops the lane they come from. */
void throttle_lane(struct client *client, struct lane *lane);
/* The same for answers from here: no further command is taken. */
void throttle_answers(struct client *client);
void throttle_end(struct client *client);
void throttle_tick(struct worker *worker, uint64_t now_ms);

/* --- local.c --- */

size_t local_dispatch(struct client *client, const struct call *call);
/* QUIT and RESET, which act in any state. */
size_t local_quit(struct client *client, const struct call *call);
size_t local_reset(struct client *client, const struct call *call);
/* (P|S)UNSUBSCRIBE without a subscription. */
size_t local_unsubscribe(struct client *client, const struct call *call);

/* --- status.c --- */

size_t status_command(struct client *client, const struct call *call);

/* --- auth.c --- */

/* Whether the client must log in before it may send `row`; *wait when that is not known yet. */
bool auth_is_due(struct client *client, const struct command *row, bool *wait);
/* A command passes by: after a change of the backend's users what it said of their logins may be wrong. */
void auth_note(struct worker *worker, const struct command *row);
/* A string on the heap made of bytes of a request, which no zero ends. */
char *copy_bytes(const uint8_t *bytes, size_t len);
size_t auth_command(struct client *client, const struct call *call);
size_t auth_hello(struct client *client, const struct call *call);
size_t auth_select(struct client *client, const struct call *call);
/* The pool a new or reset client belongs to. */
struct pool *auth_first_pool(struct worker *worker);

/* --- client_command.c --- */

size_t client_command(struct client *client, const struct call *call);
/* CLIENT TRACKING: true when it may go to the pin as it is; else it was answered or sent here. */
bool client_tracking(struct client *client, const struct call *call, size_t *used);
void client_names_free(struct client *client);
struct client_names *client_names(struct client *client);
bool client_name_is_valid(const uint8_t *name, size_t len);
/* The n-th argument of a call; false when it has fewer. */
bool call_arg(const struct call *call, uint32_t n, const uint8_t **arg, size_t *len);
bool arg_is(const uint8_t *arg, size_t len, const char *word); /* case-insensitive */
bool arg_number(const uint8_t *arg, size_t len, int64_t *number);
