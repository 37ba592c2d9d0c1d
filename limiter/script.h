/*
 * The limiter's Lua scripts as a backend takes them, with their SHA1: limiter/scripts/ put together at build time. Each
 * exists in two dialects, which differ in their first line only and so in their SHA1. Constant, shared by all threads,
 * nothing to free. Rule: Redis programmability docs (EVALSHA); Upstash docs (allow-key-locking).
 */
#pragma once

#include <stddef.h>

/* The files of limiter/scripts. */
/* clang-format off */
#define LIMIT_SCRIPTS(X)                                                                                               \
    X(cl_throttle) X(increx) X(lim_gcra) X(lim_multi) X(lim_reset) X(lim_slide) X(lim_slide_log) X(lim_window)         \
    X(repair_act) X(repair_check) X(repair_incr) X(repair_leave) X(repair_purge) X(repair_show)                        \
    X(sem_acquire) X(sem_acquire_fifo) X(sem_check) X(sem_clear) X(sem_count) X(sem_give_back) X(sem_holders)          \
    X(sem_leases) X(sem_leave) X(sem_release) X(sem_renew) X(visible)

enum limit_script_id {
#define X(name) SCRIPT_##name,
    LIMIT_SCRIPTS(X)
#undef X
    SCRIPT_COUNT,
};
/* clang-format on */

enum limit_dialect {
    DIALECT_PLAIN,   /* Redis, Valkey and all that speaks like them */
    DIALECT_UPSTASH, /* says that it touches its KEYS only; without it a script locks the whole database there */
};

enum { SCRIPT_SHA_LEN = 40 };

struct limit_script {
    const char *name;
    const char *text;
    size_t text_len;
    const char *sha; /* SCRIPT_SHA_LEN hex digits, lower case */
};

const struct limit_script *limit_script(enum limit_script_id id, enum limit_dialect dialect);
