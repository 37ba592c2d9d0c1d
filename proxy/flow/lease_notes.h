/*
 * What a worker notes of the places of semaphores that it has given: into its book (limiter/lease_book.h) when they
 * are granted, out of it when they are given back. A client that gives back, or renews, what another worker's client
 * was granted makes that worker's book wrong; once a second it is told so.
 *
 * Thread: the worker's.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "limiter/lease_book.h"
#include "limiter/script.h"

struct limit_meter;
struct limiter;

/* Leases that are not, or not any more, in this worker's book alone. When there are more, the figures are off by those.
 */
enum { LEASE_STRAYS_MAX = 256 };

struct lease_strays {
    unsigned n;
    struct lease_id at[LEASE_STRAYS_MAX];
};

/* The key and the first token of the parsed call, if it is a semaphore's. Who releases several holds them no more. */
struct lease_id lease_note_call(struct limiter *limiter);
/* The whole reply to it. */
void lease_note_reply(struct limiter *limiter, struct limit_meter *meter, struct lease_id id,
                      enum limit_script_id script, const uint8_t *reply, size_t len);

/* For limit_notes_second() and limit_notes_move(). */
void lease_notes_second(struct limiter *limiter);
void lease_notes_move(struct limiter *limiter);
