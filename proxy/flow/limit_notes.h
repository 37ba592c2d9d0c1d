/*
 * What a worker notes of limiter calls, for those who watch: what each came to, by limit (limit_book.h), and which
 * places of semaphores it has given (lease_notes.h). On the data path that is a few plain additions for each call; the
 * rest is done by the worker's clock of a second.
 *
 * Thread: the worker's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "limiter/lease_book.h"
#include "limiter/limit_call.h"
#include "limiter/script.h"

struct limit_meter;
struct limiter;
struct repair_rule;
struct request;
struct worker;

/* One call, from when it is sent until it has ended. */
struct limit_note {
    struct limit_meter *meter;
    struct lease_id lease; /* of a semaphore's: its key and its first token */
    bool asks;             /* to be admitted */
};

/* The note of the parsed call. */
struct limit_note limit_note_of_call(struct limiter *limiter);
/* That of a command of clients that know nothing of limits. */
struct limit_note limit_note_of_repair(const struct worker *worker, const struct repair_rule *rule);

/* The parsed call is queued in a transaction, or sent in a tunnel: it has ended as far as is seen. */
void limit_note_queued(const struct limiter *limiter);
/* What the parsed call is answered here: without a backend, or as the backend must. */
void limit_note_cached(const struct limiter *limiter);
void limit_note_down(const struct limiter *limiter, const uint8_t *reply, size_t len);
/* The same of a script that a rule takes for a limit, and of a command that a rule of repair is answered for. */
void limit_note_script_down(const struct limiter *limiter);
void limit_note_repair_down(const struct worker *worker, const struct repair_rule *rule);

/* The whole reply of a script has come. `shadow`: a denial is told as leave. */
void limit_note_reply(struct limiter *limiter, const struct limit_note *note, enum limit_script_id script, bool shadow,
                      const uint8_t *reply, size_t len);
/* A reply has come that is of no shape that says anything. */
void limit_note_served(const struct limit_note *note);
/* It is lost, its client is gone, or an error was made of it. */
void limit_note_failed(const struct limit_note *note);
/* It came too late and did nothing; to be called beside limit_note_reply(). */
void limit_note_late(const struct limit_note *note);
/* A request of it was answered just now. */
void limit_note_duration(struct worker *worker, const struct limit_note *note, const struct request *request);

/* For the worker's clock of a second. */
void limit_notes_second(struct limiter *limiter);
/* The worker has other settings, and those before still live: notes that are kept are of the new limits from now on. */
void limit_notes_move(struct limiter *limiter);
