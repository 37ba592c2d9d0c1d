/*
 * Repaired commands on their way: the script's call that a check, an act or a count becomes, and what each is answered
 * while no backend can decide. The call points into the command and the rule's table, as in limit_call.h. Pure; any
 * thread. Contracts: limiter/scripts/repair_*.lua.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "limiter/repair_command.h"

struct reply_writer;

/* What the rule, the connection and what was learnt (repair_learn.h) say about this one. */
struct repair_terms {
    int64_t max;     /* a check's: at most the rule's; 0 refuses it */
    int64_t refused; /* the least count that a check is told which got no place */
    int64_t hold_us; /* how long a check reserves; 0: it only looks */
    uint64_t owner;  /* of the connection: repair_owner() */
    uint64_t number; /* of the check: no two of an owner's are alike */
    bool free_only;  /* an act takes no reservation, but free room; for a connection that WATCHes the key */
    bool plain;      /* an act's reply is the client's as it comes: within a transaction */
    unsigned resp;   /* the connection's RESP version */
};

/* Distinct among all that use one backend: `seed` is a process's random number, `id` one of its connections. */
uint64_t repair_owner(uint64_t seed, uint64_t id);

/* The call of a command that repair_has_script() and is not repair_too_many(). */
void repair_call(struct limit_call *call, const struct repair_command *command, const struct repair_terms *terms);

/*
 * A client's own script so that it sees the reservations of its keys that rules show (repair_table_shows): `args` are
 * those of its EVAL or EVALSHA from the number of keys on, `text` is the script. To be sent as EVAL. False: none of its
 * keys has any, or it cannot be done, and it goes as it is.
 */
bool repair_call_show(struct limit_call *call, const struct repair_table *table, const struct limit_slice *args,
                      uint32_t argc, const struct limit_slice *text);

/* Ends an owner's reservations of a key within so long. */
void repair_call_leave(struct limit_call *call, const struct limit_slice *key, uint64_t owner, int64_t left_us);

/* Whether this reply to a check came with a place. */
bool repair_has_place(const struct repair_command *command, const struct repair_terms *terms, const uint8_t *reply,
                      size_t len);

/* The number that a check, act or count was told; a missing counter is 0. False: an error, or something else. */
bool repair_reply_number(const uint8_t *reply, size_t len, int64_t *n);

/*
 * A reply of the command's own type as if all places were taken, or as if all were free: an application that takes an
 * error for leave to go on is denied, too; an error where no reply could say so: a counter that falls, or has no cap.
 * `deny_count`: what a denied check is told.
 */
void repair_down(struct reply_writer *w, const struct repair_command *command, bool allow, int64_t deny_count,
                 unsigned resp);
