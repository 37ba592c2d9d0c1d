/*
 * What a worker keeps to repair clients that know nothing of limits: room to read a command in. What is seen of their
 * checks and acts all workers keep in one book (repair_book.h), which belongs to the settings.
 *
 * Thread and owner: its worker; any thread may report. Without rules it is never asked: settings_may_repair().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "limiter/repair_command.h"
#include "proxy/flow/settings.h"
#include "proxy/flow/worker.h"

struct command;

struct repairer {
    struct worker *worker;
    struct repair_command command; /* the one that was read last */
    struct limit_slice *args;      /* its arguments */
    uint32_t args_cap;
    uint64_t seed;        /* makes connections' names distinct from those of others */
    uint64_t down_logged; /* the epoch of the choice at which the log was told that commands are answered here */
    uint64_t acts_logged; /* acts of all rules when the log was told of them last */
    unsigned seconds;     /* since then */
};

/* NULL without memory. */
struct repairer *repairer_new(struct worker *worker);
void repairer_free(struct repairer *repairer); /* NULL is fine */

/* The worker has other settings. */
void repairer_reconfigure(struct repairer *repairer);
/* For the worker's clock of a second. */
void repairer_second(struct repairer *repairer);

/* Reads a command in canonical form, into which `command` points then. False: no rule has to do with it. */
bool repairer_read(struct repairer *repairer, const struct command *row, const uint8_t *bytes, size_t len);

/* The book of the rules that are in force for its worker. */
static inline struct repair_book *repairer_book(const struct repairer *repairer)
{
    return repairer->worker->settings->repair_book;
}

/* What all workers have seen of each rule, in words; `end` is what ends a line. Any thread that has the settings. */
void repairer_report(FILE *out, const struct settings *settings, const char *end);
