/*
 * What a worker keeps to repair clients that know nothing of limits: what it has seen of their checks and acts, and
 * room to read a command in. The rules' state lives in the backend; what is lost here is learnt again, as it is after
 * each reload.
 *
 * Once a second the figures are published under a lock that is held for a copy, for whoever reports on all workers.
 *
 * Thread and owner: its worker; any thread may report. Without rules it is never asked: settings_may_repair().
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "limiter/repair_command.h"
#include "limiter/repair_watch.h"

struct command;
struct crew;
struct worker;

struct repair_seen {
    struct repair_stats stats;
    struct repair_learn learn;
};

struct repairer {
    struct worker *worker;
    struct repair_watch *watch;    /* NULL: there are no rules */
    struct repair_command command; /* the one that was read last */
    struct limit_slice *args;      /* its arguments */
    uint32_t args_cap;
    uint64_t seed;        /* makes connections' names distinct from those of others */
    uint64_t down_logged; /* the epoch of the choice at which the log was told that commands are answered here */
    uint64_t acts_logged; /* acts of all rules when the log was told of them last */
    unsigned seconds;     /* since then */
    pthread_mutex_t lock; /* guards what is shown */
    const struct repair_table *shown_of; /* compared only: workers take up other settings one after the other */
    struct repair_seen *shown;           /* by rule */
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

/* What all workers have seen of each rule, in words; `end` is what ends a line. Any thread that has the settings. */
void repairer_report(FILE *out, const struct crew *crew, const struct repair_table *table, const char *end);
