#include "proxy/net/buf.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/net/log.h"

static struct block *block_new(size_t cap)
{
    struct block *block = malloc(sizeof(*block) + cap);
    if (!block)
        end_out_of_memory(cap);
    block->cap = (uint32_t)cap;
    return block;
}

static struct block *pop(struct block **list, unsigned *count)
{
    struct block *block = *list;
    *list = block->next;
    (*count)--;
    return block;
}

struct block *block_take(struct block_pool *pool, size_t cap)
{
    struct block *block;

    if (cap <= BLOCK_SMALL)
        block = pool->small ? pop(&pool->small, &pool->small_count) : block_new(BLOCK_SMALL);
    else if (cap <= BLOCK_LARGE)
        block = pool->large ? pop(&pool->large, &pool->large_count) : block_new(BLOCK_LARGE);
    else
        block = block_new(cap);
    block->next = NULL;
    block->start = block->end = 0;
    return block;
}

void block_give(struct block_pool *pool, struct block *block)
{
    if (!block)
        return;
    if (block->cap == BLOCK_SMALL && pool->small_count < BLOCK_SMALL_KEPT) {
        block->next = pool->small;
        pool->small = block;
        pool->small_count++;
    } else if (block->cap == BLOCK_LARGE && pool->large_count < BLOCK_LARGE_KEPT) {
        block->next = pool->large;
        pool->large = block;
        pool->large_count++;
    } else {
        free(block);
    }
}

static void free_list(struct block *block)
{
    while (block) {
        struct block *next = block->next;
        free(block);
        block = next;
    }
}

void block_pool_finish(struct block_pool *pool)
{
    free_list(pool->small);
    free_list(pool->large);
    memset(pool, 0, sizeof(*pool));
}

static struct block *add_block(struct block_pool *pool, struct buf *buf, size_t wanted)
{
    /* A queue that outgrew its first block is going to be long: go on in large ones. */
    struct block *block = block_take(pool, buf->tail || wanted > BLOCK_SMALL ? BLOCK_LARGE : BLOCK_SMALL);
    if (buf->tail)
        buf->tail->next = block;
    else
        buf->head = block;
    buf->tail = block;
    return block;
}

void buf_append(struct block_pool *pool, struct buf *buf, const void *bytes, size_t len)
{
    const uint8_t *p = bytes;

    buf->len += len;
    while (len) {
        struct block *tail = buf->tail;
        if (!tail || tail->end == tail->cap)
            tail = add_block(pool, buf, len);
        size_t n = tail->cap - tail->end;
        if (n > len)
            n = len;
        memcpy(tail->data + tail->end, p, n);
        tail->end += (uint32_t)n;
        p += n;
        len -= n;
    }
}

void buf_move(struct buf *to, struct buf *from)
{
    if (!from->head)
        return;
    if (to->tail)
        to->tail->next = from->head;
    else
        to->head = from->head;
    to->tail = from->tail;
    to->len += from->len;
    memset(from, 0, sizeof(*from));
}

void buf_consume(struct block_pool *pool, struct buf *buf, size_t len)
{
    buf->len -= len;
    while (buf->head) {
        struct block *head = buf->head;
        size_t n = head->end - head->start;
        if (n > len) {
            head->start += (uint32_t)len;
            return;
        }
        len -= n;
        buf->head = head->next;
        if (!buf->head)
            buf->tail = NULL;
        block_give(pool, head);
    }
}

void buf_clear(struct block_pool *pool, struct buf *buf)
{
    buf_consume(pool, buf, buf->len);
}

int buf_vectors(const struct buf *buf, struct iovec *vectors, int max)
{
    int n = 0;
    for (struct block *block = buf->head; block && n < max; block = block->next) {
        vectors[n].iov_base = block->data + block->start;
        vectors[n].iov_len = block->end - block->start;
        n++;
    }
    return n;
}
