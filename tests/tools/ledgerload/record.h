/*
 * What each request came to, kept in memory until the end so that no disk stands in the way of a measurement, then
 * written as lines "client sequence sent_ns done_ns outcome". Times are CLOCK_MONOTONIC, which other processes of the
 * machine share. One thread; main owns the book, record_free() ends it.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <sys/queue.h>

/* How a request ended. `closed`: the connection ended first; `silent`: nothing came before the load was over. */
#define OUTCOMES(X)                                                                                                    \
    X(ok)                                                                                                              \
    X(twice)       /* an INCR of a fresh key answered something else than 1 */                                         \
    X(unavailable) /* -RGUNAVAIL */                                                                                    \
    X(unknown)     /* -RGUNKNOWN */                                                                                    \
    X(state)       /* -RGSTATE */                                                                                      \
    X(limited)     /* -RGLIMIT */                                                                                      \
    X(error)       /* any other error reply */                                                                         \
    X(closed)                                                                                                          \
    X(silent)

enum outcome {
#define X(name) OUTCOME_##name,
    OUTCOMES(X)
#undef X
        OUTCOME_COUNT
};

struct record {
    int64_t sent_ns, done_ns;
    uint32_t client, sequence;
    enum outcome outcome;
};

struct record_block;

struct book {
    TAILQ_HEAD(record_blocks, record_block) blocks;
    uint64_t counts[OUTCOME_COUNT];
};

const char *outcome_name(enum outcome outcome);

void book_init(struct book *book);
void book_add(struct book *book, const struct record *record);
void book_write(const struct book *book, FILE *file);
void book_free(struct book *book);
