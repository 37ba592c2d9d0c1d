/*
 * Commands of clients that know nothing of limits, on keys that a rule of repair names (limiter/repair.h): how one is
 * sent, and what its reply becomes. All that is not on such a key goes as if there were no rules.
 *
 *   observed  ──> as it is, its reply looked at
 *   enforced  ─┬─> no backend can decide within queue_timeout: answered here, by on_backend_down
 *              ├─> in a transaction or a tunnel: EVAL, without a deadline
 *              └─> EVALSHA or EVAL, a check with a deadline ──> reply: what is for us taken out, the rest is the
 * client's
 *
 * It goes as a limiter call (limit_kept.h): in order, and sent again after NOSCRIPT. A check that failed, was lost or
 * came too late, is answered as one without a backend: who takes an error for leave to go on must not be given one. So
 * is a ZREMRANGEBYSCORE before it.
 *
 * A transaction with an enforced command does not travel in one piece, and a large one is held until it is whole. Who
 * WATCHes such a key watches its reservations, too, and then neither reserves nor takes any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "proxy/flow/request.h"

struct backend;
struct call;
struct client;
struct command;
struct lane;
struct limit_kept;

/* --- repair_dispatch.c --- */

/* A command of which settings_may_repair() says yes. False: it goes as it is; else *used is what was consumed, 0: wait.
 */
bool repair_dispatch(struct client *client, struct lane *lane, const struct call *call, size_t *used);
/* The same while no backend is usable and none is waited for. */
bool repair_dispatch_down(struct client *client, const struct call *call, size_t *used);
/* The length of what to send in a tunnel, at the limiter's `out`; 0: the command as it is. */
size_t repair_encode_in_tunnel(struct client *client, const struct call *call);
/* Whether it must not be sent as it is; the key is NULL while it is not known. */
bool repair_is_enforced(const struct client *client, const struct command *row, const uint8_t *key, size_t len);
/* WATCH on the client's pin. */
size_t repair_send_watch(struct client *client, const struct call *call);

/* --- repair_outcome.c --- */

/* The whole reply to a command that repair_dispatch() sent. */
void repair_told(struct client *client, struct limit_kept *kept, const uint8_t *bytes, size_t len);
/* Takes what was promised to the client last, or NULL: it has acted. */
void repair_keep_promise(struct client *client, struct limit_kept *kept);
/* The client has left: whom it kept a place for will hardly come. */
void repair_left(struct client *client);
/* Makes the limiter's call anew, to be sent again. False: its rule is not what it was any more. */
bool repair_again(struct client *client, const struct limit_kept *kept);
/* Until when the command that was read last may run. */
int64_t repair_deadline_us(const struct client *client, const struct backend *backend);
/* What it is answered that came too late: the length; 0: the error as it is. */
size_t repair_answer_late(struct client *client, const struct limit_kept *kept, unsigned resp, uint8_t *bytes,
                          size_t cap);
/* The same of one that the backend cannot run now, by its error. */
size_t repair_answer_failed(struct client *client, const struct limit_kept *kept, unsigned resp, const uint8_t *error,
                            size_t len, uint8_t *bytes, size_t cap);
/* The oldest one in flight is lost: true when it was answered here. */
bool repair_answer_lost(struct client *client, const struct lane *lane, const struct request *request,
                        enum request_loss loss);

/* --- repair_show.c --- */

/*
 * EVAL and EVALSHA of a client's own script on a key whose rule shows what is reserved: it goes as EVAL. One whose text
 * is not known is answered NOSCRIPT, which every client must expect; in a transaction it goes as it is. False: as it
 * is.
 */
bool repair_show_dispatch(struct client *client, struct lane *lane, const struct call *call, size_t *used);
/* The length of what to send in a tunnel, at the limiter's `out`; 0: the command as it is. */
size_t repair_show_in_tunnel(struct client *client, const struct call *call);
/* For RESPGATE EXPLAIN. True: what is sent is the limiter's call now. */
bool repair_show_explain(FILE *out, struct client *client, const struct call *call);
/* Whether it must not go as it is; the first argument and the key are not looked at. */
bool repair_shows(const struct client *client, const struct command *row);

/* --- repair_explain.c --- */

/* RESPGATE EXPLAIN command [argument ...] */
size_t repair_explain(struct client *client, const struct call *call);
