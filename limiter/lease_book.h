/*
 * Places of semaphores that were granted through this process and still run, as far as it knows: who they belong to and
 * until when. For figures only: the truth lives in the backend. What others release or renew is not known here, so a
 * lease that another process gave back is held to have run out at its end.
 *
 *   granted, or renewed ──> kept until its end ──┬── released, revoked, lost: lease_book_end()
 *                                                └── its end is over: told as expired by lease_book_tick()
 *
 * Bounded: all memory is taken at the start, and what finds none is not kept. Keys and tokens are known by their keyed
 * hashes only. Each step is found within a few. One thread: each worker has its own. No clock: now_us is monotonic. The
 * owner frees it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lease_book;

/* A key and a token in it, by their hashes. */
struct lease_id {
    uint64_t key, token;
};

struct lease_book *lease_book_new(size_t max_bytes); /* NULL without memory */
void lease_book_free(struct lease_book *book);       /* NULL is fine */

struct lease_id lease_id(uint64_t seed, const uint8_t *key, size_t key_len, const uint8_t *token, size_t token_len);

/* It runs until `end_us` now. `of` is whose it is, the same for all of a key. False: there is no room. */
bool lease_book_hold(struct lease_book *book, struct lease_id id, void *of, int64_t end_us);
/* It runs no longer. False: it is not known. */
bool lease_book_end(struct lease_book *book, struct lease_id id);
/* No lease of this key runs any longer; how many did. */
size_t lease_book_end_all(struct lease_book *book, uint64_t key);

/* What is told of leases, each call with whose it is. */
struct lease_visitor {
    void (*expired)(void *arg, void *of);
    void (*runs)(void *arg, void *of, int64_t end_us);
    void (*held)(void *arg, void *of, uint32_t leases); /* once for each key that has any */
    void *arg;
};

/* Forgets what is over, then tells of all that runs. About once a second. */
void lease_book_tick(struct lease_book *book, int64_t now_us, const struct lease_visitor *visitor);

/* They are somebody else's from now on: map(arg, of). */
void lease_book_hand_over(struct lease_book *book, void *(*map)(void *arg, void *of), void *arg);
