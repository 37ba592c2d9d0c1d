/*
 * What a worker notes of the places of semaphores that it has given: into its book (limiter/lease_book.h) when they
 * are granted, out of it when they are given back. A lease stands in one book only, of the worker that it was granted
 * through. When it is renewed or given back through another one, that one tells all others once a second.
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

/* What there is to tell. When it is more, the figures are off by the rest. */
enum { LEASE_STRAYS_MAX = 256 };

struct lease_strays {
    unsigned n;
    struct lease_stray {
        struct lease_id id;
        int64_t end_us; /* 0: it runs no longer */
    } at[LEASE_STRAYS_MAX];
};

/* The key and the first token of the parsed call, if it is a semaphore's. Who releases several holds them no more. */
struct lease_id lease_note_call(struct limiter *limiter);
/* The whole reply to it. */
void lease_note_reply(struct limiter *limiter, struct limit_meter *meter, struct lease_id id,
                      enum limit_script_id script, const uint8_t *reply, size_t len);

/* For limit_notes_second() and limit_notes_move(). */
void lease_notes_second(struct limiter *limiter);
void lease_notes_move(struct limiter *limiter);
