/*
 * Byte queues made of blocks, and the free lists the blocks come from.
 *
 * A buf holds blocks only while it holds bytes, so an idle connection costs nothing. Blocks come in two pooled sizes:
 * most queues hold one request or reply and take a small one, the others go on in large ones. One pool per loop, no
 * locks.
 *
 *   head ──> [ ...consumed | bytes ] ──> [ bytes ] ──> [ bytes | room ] <── tail
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum {
    BLOCK_SMALL = 1024,
    BLOCK_LARGE = 16384,
    /* free blocks kept for reuse; what is above goes back to the allocator */
    BLOCK_SMALL_KEPT = 512,
    BLOCK_LARGE_KEPT = 64,
};

struct block {
    struct block *next;
    uint32_t start, end; /* the bytes lie in data[start .. end) */
    uint32_t cap;
    uint8_t data[];
};

struct block_pool {
    struct block *small, *large;
    unsigned small_count, large_count;
};

/* A block of at least `cap` bytes; never NULL (running out of memory ends the process with a message). */
struct block *block_take(struct block_pool *pool, size_t cap);
void block_give(struct block_pool *pool, struct block *block); /* NULL is fine */
void block_pool_finish(struct block_pool *pool);

struct buf {
    struct block *head, *tail;
    size_t len;
};

void buf_append(struct block_pool *pool, struct buf *buf, const void *bytes, size_t len);
/* Moves all blocks of `from` behind those of `to`, without copying. */
void buf_move(struct buf *to, struct buf *from);
/* Drops the first `len` bytes; len <= buf->len. */
void buf_consume(struct block_pool *pool, struct buf *buf, size_t len);
void buf_clear(struct block_pool *pool, struct buf *buf);
/* Points up to `max` vectors at the first bytes; returns how many. */
int buf_vectors(const struct buf *buf, struct iovec *vectors, int max);
