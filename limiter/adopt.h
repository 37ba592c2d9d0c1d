/*
 * Scripts of clients that are limits: a rule names one by its SHA1 and says which limiter command a call of it means,
 * which is sent in its place; and what the script returns, which the client gets. So a limiter that an application
 * brought along is decided on the backend's clock and answered without a backend, and its code does not change.
 *
 *   adopt = <sha1> COMMAND KEYS[n] word ...    words: KEYS[n], ARGV[n], ARGV[n]*number, or as they stand
 *   returns = ALLOWED | DENIED                 adopt_reply.h
 *
 *   call ─┬─> its key is none of the rule's, or it is a mistake of its own ──> as it is
 *         ├─> it lacks what the rule names, or COMMAND finds a mistake ─────> an error, not an unlimited call
 *         └─> limit_call ──> reply > adopt_reply; in a transaction with `after`, which does that on the backend
 *
 * COMMAND: SEM.ACQUIRE, RENEW, RELEASE, CHECK, REVOKE, LIM.GCRA, WINDOW, SLIDE, REFUND, RESET, CL.THROTTLE; none that
 * waits. The table is built once and then read-only, shared by threads; its creator frees it. Strings are copied.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "limiter/adopt_reply.h"
#include "limiter/limit_call.h"

enum { ADOPT_WORDS_MAX = 24, ADOPT_ERROR_MAX = 256 };

struct adopt_spec {
    const char *name, *pattern, *adopt, *returns;
    bool allow; /* while no backend can decide; else deny */
};

/* Why a rule cannot be: which one, which of its texts, and what is wrong. */
struct adopt_mistake {
    size_t rule;
    const char *key;
    char text[ADOPT_ERROR_MAX];
};

struct adopt_word {
    enum { ADOPT_WORD, ADOPT_KEY, ADOPT_ARG } source;
    uint32_t n;    /* of KEYS or ARGV, from 1 */
    int64_t times; /* ARGV[n]*times */
    struct limit_slice word;
};

struct adoption {
    char *name, *pattern, *text; /* `text` is the rule's, which words point into */
    size_t pattern_len;
    char sha[SCRIPT_SHA_LEN]; /* lower case */
    const struct command *row;
    uint32_t n_words;
    struct adopt_word words[ADOPT_WORDS_MAX]; /* the first is a key */
    struct adopt_returns returns;
    char *after; /* for limit_call.h, where replies are not looked at */
    bool allow;
};

struct adopt_table;

/* NULL without memory, or with a mistake (its text is not empty). */
struct adopt_table *adopt_table_new(const struct adopt_spec *specs, size_t n, struct adopt_mistake *mistake);
void adopt_table_free(struct adopt_table *table); /* NULL is fine */

size_t adopt_table_count(const struct adopt_table *table);
const struct adoption *adopt_table_at(const struct adopt_table *table, size_t i);

/* Whether a script of this SHA1, in any case, is some rule's. */
bool adopt_table_has(const struct adopt_table *table, const uint8_t *sha, size_t len);

/* What a call is made of that is not the client's; it must live as long as the call. */
struct adopt_room {
    struct limit_slice args[ADOPT_WORDS_MAX + 1];
    char numbers[ADOPT_WORDS_MAX][24];
    const struct adoption *adoption;
    char error[ADOPT_ERROR_MAX]; /* of a misfit: of the error reply, without '-' */
};

enum adopt_fit { ADOPT_NONE, ADOPT_FITS, ADOPT_MISFIT };

/*
 * A client's EVAL or EVALSHA of that script: `args` are its arguments from the number of keys on. ADOPT_FITS: `call` is
 * what is meant, and room->adoption the rule.
 */
enum adopt_fit adopt_call(const struct adopt_table *table, const uint8_t *sha, const struct limit_slice *args,
                          uint32_t argc, const struct limit_settings *settings, struct limit_call *call,
                          struct adopt_room *room);
