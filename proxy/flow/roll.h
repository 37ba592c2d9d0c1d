/*
 * Who is connected and what each of them does, for people: made anew once a second while the worker's clock looks at
 * each client anyway, then published under a lock that is held for a copy. Bounded: of many clients the oldest with a
 * name and the oldest without one are listed, all are counted.
 *
 * Owner: its worker, which alone writes; any thread may take a copy.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct client;
struct command;

enum { ROLL_NAMED = 192, ROLL_UNNAMED = 64, ROLL_MAX = ROLL_NAMED + ROLL_UNNAMED, ROLL_NAME_LEN = 64 };

/* What a client is seen to do, the first that fits. */
#define ROLL_DOINGS(X)                                                                                                 \
    X(silent, "has never asked for anything")                                                                          \
    X(monitor, "watches all commands")                                                                                 \
    X(subscribed, "waits for messages")                                                                                \
    X(blocked, "waits in a blocking command")                                                                          \
    X(transaction, "is within a transaction")                                                                          \
    X(waiting, "waits for a reply")                                                                                    \
    X(idle, "has what it asked for")

enum roll_doing {
#define X(name, help) ROLL_##name,
    ROLL_DOINGS(X)
#undef X
        ROLL_DOING_N
};

struct roll_entry {
    uint64_t id, created_ms, active_ms;
    const struct command *last;    /* NULL: none */
    const struct backend *backend; /* compared only */
    uint32_t inflight;
    enum roll_doing doing;
    bool pinned;
    char name[ROLL_NAME_LEN], user[ROLL_NAME_LEN]; /* cut */
};

struct roll {
    uint64_t at_ms; /* 0: never made */
    uint32_t clients;
    uint32_t n_named, n_unnamed, n; /* n: in `at` */
    struct roll_entry at[ROLL_MAX];
};

struct roll_book {
    pthread_mutex_t lock; /* guards `shown` */
    struct roll next, shown;
};

struct roll_book *roll_book_new(void); /* NULL: no memory */
void roll_book_free(struct roll_book *book);

const char *roll_doing_name(enum roll_doing doing);

void roll_begin(struct roll_book *book, uint64_t now_ms);
void roll_add(struct roll_book *book, const struct client *client, uint64_t now_ms);
void roll_publish(struct roll_book *book);
/* A copy of what was published last. Any thread. */
void roll_copy(struct roll_book *book, struct roll *copy);
