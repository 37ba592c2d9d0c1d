/*
 * Rules of limits by name, and LIM.TRY, which spares an application the numbers:
 *
 *   LIM.TRY name subject [option ...]                 -> LIM.GCRA | LIM.WINDOW | LIM.SLIDE of key prefix + subject
 *   LIM.TRY name subject TOKEN token [option ...]     -> SEM.ACQUIRE, when the rule is a semaphore
 *
 * name is matched as it is spelt in the configuration. subject is any bytes, and may be empty: then all calls share one
 * limit. TOKEN must come first where it is needed, and is refused where it is not. Options ([COST q] [PEEK|PARTIAL]
 * [IDEM id] ..., for a semaphore [COST w] [WAIT ms] [FIFO] [SLOTS]) are those of the command that the call stands for,
 * and are judged by its grammar. The key is prefix + subject for SEM.RELEASE, LIM.REFUND and the like, too. The table
 * is built once and then read-only, shared by threads; its creator frees it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In the order of the words of [limit] kind and on_backend_down. */
enum rule_kind { RULE_GCRA, RULE_WINDOW, RULE_SLIDE, RULE_SLIDE_LOG, RULE_SEMAPHORE };
enum rule_on_down { RULE_DOWN_DENY, RULE_DOWN_ALLOW, RULE_DOWN_LOCAL };

/* Plain values, checked by the configuration. Strings are copied. */
struct rule_spec {
    const char *name, *prefix; /* prefix: NULL or empty is "rl:NAME:" */
    enum rule_kind kind;
    int64_t count, period_ms; /* all but semaphores */
    int64_t burst;            /* gcra; 0: count */
    int64_t max, lease_ms;    /* semaphores */
    enum rule_on_down on_backend_down;
    bool deny_cache;
    bool shadow;
    unsigned local_share; /* percent */
};

struct rule {
    const char *name, *prefix;
    size_t prefix_len;
    unsigned index; /* in the order of their names */
    enum rule_kind kind;
    int64_t limit;            /* burst of a gcra, count of a window, max of a semaphore */
    int64_t count, period_ms; /* lease_ms of a semaphore is in period_ms, its count 0 */
    enum rule_on_down on_backend_down;
    bool deny_cache;
    bool shadow;
    unsigned local_share;
};

struct rule_table;

/* NULL without memory. */
struct rule_table *rule_table_new(const struct rule_spec *specs, size_t n);
void rule_table_free(struct rule_table *table); /* NULL is fine */

size_t rule_table_count(const struct rule_table *table);
const struct rule *rule_at(const struct rule_table *table, size_t i); /* in the order of their names */
const struct rule *rule_find(const struct rule_table *table, const uint8_t *name, size_t len); /* NULL: none */

/* The rule whose keys begin as this one does, the longest such beginning; NULL: none. */
const struct rule *rule_of_key(const struct rule_table *table, const uint8_t *key, size_t len);

/* Whether it may be a key of a rule whose denials are kept. */
bool rule_table_may_own(const struct rule_table *table, const uint8_t *key, size_t len);

enum { RULE_ARGS_MAX = 24, RULE_NUMBER_LEN = 20, RULE_ERROR_LEN = 160 };

/* The call that a LIM.TRY stands for. Arguments point into the table, the LIM.TRY, `key` and `numbers`. */
struct rule_call {
    const struct rule *rule;
    size_t argc;
    const uint8_t *argv[RULE_ARGS_MAX]; /* the command's name first */
    size_t lens[RULE_ARGS_MAX];
    char numbers[3][RULE_NUMBER_LEN];
    char error[RULE_ERROR_LEN]; /* without the leading '-' */
};

/* Bytes that `key` needs for a subject of that length, whatever the rule. */
size_t rule_key_room(const struct rule_table *table, size_t subject_len);

/*
 * argv: the LIM.TRY with its name. `key` is the caller's memory, at least rule_key_room() of argv[2]'s length. False:
 * the reply is call->error; call->rule is then the rule, if there is one of that name. `call` may not be moved
 * afterwards.
 */
bool rule_expand(const struct rule_table *table, const uint8_t *const *argv, const size_t *lens, size_t argc,
                 uint8_t *key, struct rule_call *call);
