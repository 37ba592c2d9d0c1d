#include "proxy/net/loop.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proxy/net/conn.h"
#include "proxy/net/log.h"

/* --- libevent's memory: many of its calls cannot fail for any other reason, and nobody looks at what they return ---
 */

static void *allocate(size_t len)
{
    void *memory = malloc(len);

    if (!memory && len)
        end_out_of_memory(len);
    return memory;
}

static void *reallocate(void *old, size_t len)
{
    void *memory = realloc(old, len);

    if (!memory && len)
        end_out_of_memory(len);
    return memory;
}

/* --- life --- */

bool loop_init(struct loop *loop)
{
    event_set_mem_functions(allocate, reallocate, free);
    struct event_config *config = event_config_new();

    memset(loop, 0, sizeof(*loop));
    for (int i = 0; i < LOOP_FLUSH_ORDERS; i++)
        TAILQ_INIT(&loop->dirty[i]);
    TAILQ_INIT(&loop->ready);
    STAILQ_INIT(&loop->deferred);
    SLIST_INIT(&loop->done);
    if (!config)
        return false;
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    loop->base = event_base_new_with_config(config);
    event_config_free(config);
    return loop->base;
}

static void reap(struct loop *loop)
{
    struct reapable *object;
    while ((object = SLIST_FIRST(&loop->done))) {
        SLIST_REMOVE_HEAD(&loop->done, link);
        object->free(object);
    }
}

void loop_finish(struct loop *loop)
{
    reap(loop);
    event_base_free(loop->base);
    block_pool_finish(&loop->pool);
}

int64_t clock_now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void loop_read_clock(struct loop *loop)
{
    loop->now_us = (uint64_t)clock_now_us();
    loop->now_ms = loop->now_us / 1000;
}

void loop_reap(struct loop *loop, struct reapable *object)
{
    SLIST_INSERT_HEAD(&loop->done, object, link);
}

void loop_defer(struct loop *loop, struct deferred *work)
{
    STAILQ_INSERT_TAIL(&loop->deferred, work, link);
}

static void run_deferred(struct loop *loop)
{
    struct deferred *work;
    while ((work = STAILQ_FIRST(&loop->deferred))) {
        STAILQ_REMOVE_HEAD(&loop->deferred, link);
        work->run(work);
    }
}

static void run_ready(struct loop *loop)
{
    /* Those that became ready meanwhile wait for the next turn, so that no connection can keep the loop here. */
    for (unsigned n = loop->ready_count; n && !TAILQ_EMPTY(&loop->ready); n--)
        conn_run_ready(TAILQ_FIRST(&loop->ready));
}

static struct conn *first_dirty(const struct loop *loop)
{
    struct conn *conn = NULL;

    for (int i = 0; i < LOOP_FLUSH_ORDERS && !conn; i++)
        conn = TAILQ_FIRST(&loop->dirty[i]);
    return conn;
}

static void flush_all(struct loop *loop)
{
    struct conn *conn;

    /* A flush may have others write, also some whose turn was before: no event would come for them. */
    while ((conn = first_dirty(loop)))
        conn_flush(conn);
}

void loop_run(struct loop *loop)
{
    while (!loop->stop) {
        bool more = loop->ready_count || !STAILQ_EMPTY(&loop->deferred);
        event_base_loop(loop->base, EVLOOP_ONCE | (more ? EVLOOP_NONBLOCK : 0));
        run_deferred(loop);
        run_ready(loop);
        flush_all(loop);
        reap(loop);
        loop->now_ms = 0;
    }
}
