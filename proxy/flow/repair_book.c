#include "proxy/flow/repair_book.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

enum { CHECK_ROOM = 150 /* what one remembered check takes: limiter/repair_watch.h */ };

struct repair_book {
    pthread_mutex_t lock; /* guards the watch */
    struct repair_watch *watch;
};

struct repair_book *repair_book_new(const struct repair_table *table, size_t memory, struct repair_book *before)
{
    struct repair_book *book = calloc(1, sizeof(*book));
    uint64_t seed = 0;

    if (!book)
        return NULL;
    if (getrandom(&seed, sizeof(seed), 0) == (ssize_t)sizeof(seed))
        book->watch = repair_watch_new(table, memory / CHECK_ROOM, seed);
    if (!book->watch) {
        free(book);
        return NULL;
    }
    pthread_mutex_init(&book->lock, NULL);
    if (before) {
        pthread_mutex_lock(&before->lock);
        repair_watch_inherit(book->watch, before->watch);
        pthread_mutex_unlock(&before->lock);
    }
    return book;
}

void repair_book_free(struct repair_book *book)
{
    if (!book)
        return;
    repair_watch_free(book->watch);
    pthread_mutex_destroy(&book->lock);
    free(book);
}

void repair_book_terms(struct repair_book *book, const struct repair_command *command,
                       const struct repair_client *client, unsigned resp, int64_t now_us, struct repair_terms *terms)
{
    pthread_mutex_lock(&book->lock);
    repair_watch_terms(book->watch, command, client, resp, now_us, terms);
    pthread_mutex_unlock(&book->lock);
}

void repair_book_reply(struct repair_book *book, const struct repair_command *command,
                       const struct repair_client *client, const struct repair_terms *terms, const uint8_t *reply,
                       size_t len, int64_t sent_us, int64_t now_us)
{
    pthread_mutex_lock(&book->lock);
    repair_watch_reply(book->watch, command, client, terms, reply, len, sent_us, now_us);
    pthread_mutex_unlock(&book->lock);
}

void repair_book_sent(struct repair_book *book, const struct repair_command *command, int64_t wall_us)
{
    pthread_mutex_lock(&book->lock);
    repair_watch_sent(book->watch, command, wall_us);
    pthread_mutex_unlock(&book->lock);
}

int64_t repair_book_left_us(struct repair_book *book, unsigned rule)
{
    pthread_mutex_lock(&book->lock);
    int64_t left_us = repair_watch_left_us(book->watch, rule);
    pthread_mutex_unlock(&book->lock);
    return left_us;
}

void repair_book_tick(struct repair_book *book, int64_t now_us)
{
    pthread_mutex_lock(&book->lock);
    repair_watch_tick(book->watch, now_us);
    pthread_mutex_unlock(&book->lock);
}

void repair_book_look(struct repair_book *book, unsigned rule, struct repair_stats *stats, struct repair_learn *learn)
{
    pthread_mutex_lock(&book->lock);
    if (stats)
        *stats = *repair_watch_stats(book->watch, rule);
    if (learn)
        *learn = *repair_watch_learn(book->watch, rule);
    pthread_mutex_unlock(&book->lock);
}

int64_t repair_book_refused(struct repair_book *book, unsigned rule)
{
    pthread_mutex_lock(&book->lock);
    int64_t refused = repair_learn_refused(repair_watch_learn(book->watch, rule));
    pthread_mutex_unlock(&book->lock);
    return refused;
}
