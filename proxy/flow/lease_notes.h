/*
 * What a worker notes of the places of semaphores that it has given: into a book (limiter/lease_book.h) when they are
 * granted, out of it when they are given back. All leases of one key stand in the book of one worker, whichever
 * worker's clients they are, so that they can be counted together:
 *
 *   noted ──> the key falls to this worker: into its book
 *        └──> to another one: sent to it at the end of the turn, before the client can know of it and go on elsewhere
 *
 * Thread: the worker's.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "limiter/lease_book.h"
#include "limiter/script.h"

struct lease_order;
struct limit_meter;
struct limiter;

/* The key and the first token of the parsed call, if it is a semaphore's. Who releases several holds them no more. */
struct lease_id lease_note_call(struct limiter *limiter, struct limit_meter *meter);
/* The whole reply to it. */
void lease_note_reply(struct limiter *limiter, struct limit_meter *meter, struct lease_id id,
                      enum limit_script_id script, const uint8_t *reply, size_t len);

/* For limit_notes_second() and limit_notes_move(). */
void lease_notes_second(struct limiter *limiter);
void lease_notes_move(struct limiter *limiter);
/* The limiter ends. */
void lease_notes_finish(struct limiter *limiter);
