/*
 * Scripts of clients that a rule takes for limiter commands (limiter/adopt.h): how a call of one is sent, and what its
 * reply becomes. Scripts that no rule names go as if there were no rules; so do their EVAL_RO and FCALL.
 *
 *   EVAL, EVALSHA ──> as limiter commands go (limit.h) ──> reply: as the script's would be
 *                 └─> no backend can decide, or an answer is lost: by on_backend_down, in the script's words
 *   SCRIPT EXISTS ──> the backend is asked ──> a script that a rule names is there
 *
 * Which script a text is, is known by its SHA1, which is computed for each EVAL while there is such a rule.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "limiter/adopt.h"
#include "proxy/flow/request.h"

struct call;
struct client;
struct command;
struct lane;
struct limit_kept;

/* Whether it is a call of such a script; the first argument is NULL while it is not known. */
bool adopt_is_named(const struct client *client, const struct command *row, const uint8_t *script, size_t len);

/* Of a command that settings say may be one. False: it goes as it is; else *used is what was consumed, 0: wait. */
bool adopt_dispatch(struct client *client, struct lane *lane, const struct call *call, size_t *used);
/* The same while no backend is usable and none is waited for. */
bool adopt_dispatch_down(struct client *client, const struct call *call, size_t *used);
/* The length of what to send in a tunnel, at the limiter's `out`; 0: the command as it is. */
size_t adopt_encode_in_tunnel(struct client *client, const struct call *call);

/* Reads the call anew into the limiter's. False: its rule is not what it was any more, see limiter->error. */
bool adopt_again(struct client *client, const struct limit_kept *kept);
/* What the client gets in place of a whole reply: the length; 0: the reply as it is. */
size_t adopt_change(struct client *client, const struct limit_kept *kept, unsigned resp, const uint8_t *reply,
                    size_t len, uint8_t *bytes, size_t cap);
/* What a call is answered that came too late. */
size_t adopt_answer_late(struct client *client, const struct limit_kept *kept, unsigned resp, uint8_t *bytes,
                         size_t cap);
/* The oldest one in flight is lost: true when it was answered here. */
bool adopt_answer_lost(struct client *client, const struct lane *lane, const struct request *request,
                       enum request_loss loss);

/* For RESPGATE EXPLAIN, of a command in canonical form. ADOPT_FITS: what is sent is the limiter's call now. */
enum adopt_fit adopt_explain(FILE *out, struct client *client, const struct command *row, const uint8_t *bytes,
                             size_t len);
