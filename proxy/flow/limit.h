/*
 * Limiter commands of clients: how one is sent as a script, and what its reply becomes.
 *
 *   parse ─┬─> error, at once
 *          ├─> a denial that still holds: answered here
 *          ├─> no backend can decide within queue_timeout: answered here, by on_backend_down
 *          ├─> SEM.ACQUIRE ... WAIT: asked again until it is granted (limit_wait.c)
 *          └─> EVALSHA or EVAL on the client's lane, with a deadline ──> reply: as it is, in another shape, or NOSCRIPT
 *
 * In a transaction it is queued as EVAL, because NOSCRIPT would spoil the transaction, and without a deadline, because
 * nobody knows when EXEC comes. EXEC's reply is passed as it is: shadow mode does not reach there, nor does what makes
 * INCREX's reply that of a server which has it (integers beyond 2^53, doubles in RESP3). The same in a tunnel.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "limiter/rule.h"

struct call;
struct client;
struct lane;
struct limit_kept;
struct limiter;
struct request;
struct worker;

/* --- limit_dispatch.c --- */

/* The command at the front, class LIMIT: sends it on `lane`, answers it or has it wait. Bytes consumed, 0: wait. */
size_t limit_dispatch(struct client *client, struct lane *lane, const struct call *call);
/*
 * The same in a tunnel, where replies are not looked at: the length of what to send in its place, at the limiter's
 * `out`; 0: the command as it is, which is no limiter command, or a mistake that the backend shall answer in its turn.
 */
size_t limit_encode_in_tunnel(struct client *client, const struct call *call, bool *is_lowering);
/* The same while no backend is usable and none is waited for. */
size_t limit_dispatch_down(struct client *client, const struct call *call);
/* A call waits for a lane that is not open; true: in vain, and the time is over. */
bool limit_waits_in_vain(struct client *client, struct lane *lane);
/* Answers the call that was just parsed without a backend, by its on_backend_down. */
size_t limit_answer_down(struct client *client, const struct call *call);
/* Tells the log, once for each choice of a backend, that calls are answered here. */
void limit_log_down(struct limiter *limiter, const char *rule, enum rule_on_down policy);
/* Sends the parsed call, which the command stands for: what is kept of it until its reply. */
struct limit_kept *limit_send(struct client *client, struct lane *lane, const struct call *call);
/* The same in an open transaction, of which nothing is kept. */
void limit_queue(struct client *client, struct lane *lane);
/* Sends a command whose reply is to be looked at. */
struct limit_kept *limit_send_as_it_is(struct client *client, struct lane *lane, const struct call *call);
/* Whether a command that is not the limiter's may lower what limits count. */
bool limit_is_lowered_by(const struct client *client, const struct call *call);
/* The same of a large one, of which only the beginning is here: by its first key, or because it may name many. */
bool limit_may_be_lowered_by(const struct client *client, const struct call *call);

/* --- limit_outcome.c --- */

/* The reply to a call that limit_dispatch() sent. True: it was dealt with here. */
bool limit_on_reply(struct client *client, struct lane *lane, struct request *request, const uint8_t *bytes, size_t len,
                    bool last);
/* The oldest call in flight is lost. To be called before and after its error is told, so that it goes out in order. */
void limit_on_lost(struct client *client);
void limit_told_lost(struct client *client);
/* Bytes of a reply to something that was sent behind a call that is sent again: true when they are held. */
bool limit_holds_back(struct client *client, const uint8_t *bytes, size_t len);
/* The client is gone. */
void limit_forget(struct client *client);
/* What a rule in shadow mode makes of a denial: the new length of `reply`, or 0 when it stays as it is. */
size_t limit_shadow(const uint8_t *bytes, size_t len, uint8_t *reply, size_t cap);

/* --- limit_leases.c --- */

/* RESPGATE LEASES rule [subject], whose arguments are counted; nothing is in flight. */
size_t limit_leases(struct client *client, const struct call *call);

/* --- limit_wait.c --- */

/* The parsed call asks to wait, or its client does so already. */
size_t limit_wait_dispatch(struct client *client, struct lane *lane, const struct call *call);
/* Whether its answer is there; then limit_wait_dispatch() gives it, with any lane. */
bool limit_wait_is_over(const struct client *client);
/* Its command is about to be answered by somebody else, who has noted what it came to. */
void limit_wait_was_noted(struct client *client);
/* The client's command was answered, or the client is gone. */
void limit_wait_end(struct client *client);
/* So many places of the parsed call's semaphore became free: those who wait here are asked for again at once. */
void limit_wait_wake(struct limiter *limiter, struct client *by, int64_t places);
/* Everybody gets an answer now. */
void limit_wait_drain(struct limiter *limiter);
/* Counts who waits, for limit_notes_second(). */
void limit_wait_count(const struct limiter *limiter);
/* For limit_notes_move(). */
void limit_wait_move(struct limiter *limiter);
