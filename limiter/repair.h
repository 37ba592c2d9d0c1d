/*
 * Rules of repair: which keys of clients that know nothing of limits are limited, and how. A key belongs to a rule by
 * pattern and by command, never by pattern alone: applications name keys of other types alike.
 *
 *   zset | set | list | counter   the client checks (ZCARD ...) and acts (ZADD ...) later: the check reserves a place
 *   incr                          the client counts (INCR): the counter always ends, and may stop at a cap
 *
 * One command's way:
 *
 *   repair_classify ──> observe: sent as it is ─────────────────────────────────────────> repair_watch_reply
 *                  └──> enforce: repair_watch_terms > repair_call > limit_call_encode > reply > repair_watch_reply
 *                                                                                             > limit_verdict > client
 *   Within a transaction terms.plain is set, the call is encoded as EVAL, and nothing is told of the reply. A
 * connection that WATCHes the key only looks (repair_client), and WATCHes its COMPANION_HELD, too. A client's own
 * script may be shown what is reserved: repair_call_show. Reservations are not carried to another
 * backend.
 *
 * The table is built once and then read-only, shared by threads; its creator frees it. Strings are copied.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In the order of the words of [limit] mode and late. */
enum repair_mode { REPAIR_OBSERVE, REPAIR_ENFORCE };
enum repair_late { REPAIR_LATE_RECORD, REPAIR_LATE_REJECT, REPAIR_LATE_ERROR };

/* Bits, as a command may be one of several kinds; in the order of the last words of [limit] kind. */
enum repair_kind {
    REPAIR_ZSET = 1 << 0,
    REPAIR_SET = 1 << 1,
    REPAIR_LIST = 1 << 2,
    REPAIR_COUNTER = 1 << 3,
    REPAIR_INCR = 1 << 4,
};

struct repair_rule {
    const char *name, *pattern;
    const char *monitors; /* names of clients that only look, spaces between them; NULL: none */
    size_t pattern_len, literal_len;
    unsigned index; /* in the order in which they were given */
    enum repair_kind kind;
    enum repair_mode mode;
    enum repair_late late;
    int64_t max;    /* places; the cap of kind incr; 0: none, or not known while observing */
    int64_t ttl_ms; /* of a key that the client leaves without an end; 0: none */
    bool shows;     /* clients' own scripts see the reservations of its keys */
    bool allow;     /* while no backend can decide, all places are free; else all are taken */
};

/*
 * Plain values, checked by the configuration. Only name, pattern, monitors, kind, mode, late, max, ttl_ms,
 * shows and allow are read.
 */
struct repair_table;

struct repair_table *repair_table_new(const struct repair_rule *rules, size_t n); /* NULL without memory */
void repair_table_free(struct repair_table *table);                               /* NULL is fine */

size_t repair_table_count(const struct repair_table *table);
const struct repair_rule *repair_table_at(const struct repair_table *table, size_t i);

/* Whether some rule shows reservations to scripts. */
bool repair_table_shows(const struct repair_table *table);

/* Whether a client of this name only looks. */
bool repair_rule_is_monitor(const struct repair_rule *rule, const char *name);

/* Whether a key that begins with this byte may match a rule; a key without any may, too. */
bool repair_table_may_begin(const struct repair_table *table, uint8_t byte);

/* The first rule that is of one of these kinds and whose pattern is the key's; NULL: none. */
const struct repair_rule *repair_table_find(const struct repair_table *table, unsigned kinds, const uint8_t *key,
                                            size_t len);
