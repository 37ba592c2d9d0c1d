/*
 * Which backend gets the requests: a pure choice, and the memory of switches that feeds it (hold-downs).
 *
 * route_choose() sees neither clock nor random numbers, so that every choice can be predicted from the configuration
 * and repeated from the log: each decision logs its whole input as one line (route_format), and `respgate replay`
 * reads it back (route_parse) and chooses again.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/health/state.h"

enum { ROUTE_BACKENDS_MAX = 32, ROUTE_NONE = -1, ROUTE_TEXT_LEN = 640 };

/* What happens when a backend that stands before the current one is usable again. */
enum failback {
    FAILBACK_AUTO,   /* back to it once its hold-down is over */
    FAILBACK_MANUAL, /* only by order; when the current one fails, those behind it come first (once nothing was usable,
                        there is no current one to remember, and the first usable one is taken) */
    FAILBACK_STICKY, /* the current one is kept while it is usable, then the first usable one is taken */
};

/* Backends are in the order of the configuration: by priority, then as written. */
struct route_input {
    unsigned n;
    enum health_state state[ROUTE_BACKENDS_MAX];
    bool held[ROUTE_BACKENDS_MAX]; /* its hold-down runs: nobody leaves a usable backend for it */
    int current;                   /* ROUTE_NONE: none yet, or none was usable */
    int pinned;                    /* by an operator; ROUTE_NONE: nobody */
    enum failback failback;
    bool grace; /* start_grace runs: a backend without a verdict is waited for */
};

enum route_why {
    ROUTE_FIRST,    /* the first usable one */
    ROUTE_KEPT,     /* the current one stays */
    ROUTE_PINNED,   /* an operator's word */
    ROUTE_FAILOVER, /* the current one is not usable any more */
    ROUTE_FAILBACK, /* one that stands before the current one is usable again */
    ROUTE_WAITING,  /* none: one that stands before has no verdict yet (grace) */
    ROUTE_ALL_DOWN, /* none: nothing is usable */
};

struct route_choice {
    int index; /* ROUTE_NONE: none */
    enum route_why why;
};

/* What route_choose() may choose at all: it was up and is not known to be anything else. */
bool route_is_usable(enum health_state state);

/*
 * The rules, the first that fits:
 *   pinned            that one when it is usable, else none
 *   current usable    it, unless failback is auto and one before it is UP and not held
 *   otherwise         the first UP and not held, the first UP, the first SUSPECT, none; but none as long as grace runs,
 *                     there is no current one, and one before has no verdict
 * There is no panic mode: what is DOWN, WRONG or UNKNOWN is never chosen.
 */
struct route_choice route_choose(const struct route_input *input);

/*
 * "in=up,down(held),unknown current=1 pinned=none failback=auto grace=no out=1 why=kept": input and choice of one
 * decision, with the backends numbered from 0. `len` as for snprintf, ROUTE_TEXT_LEN is enough; the parser accepts
 * exactly what the writer writes, and names what is wrong.
 */
int route_format(char *text, size_t len, const struct route_input *input, struct route_choice choice);
const char *route_why_text(enum route_why why);
const char *route_failback_text(enum failback failback);
bool route_parse(const char *text, struct route_input *input, struct route_choice *choice, char *error,
                 size_t error_len);

/*
 * Hold-downs. A backend that failed while it was in use is not returned to before it has been up for `hold` without a
 * break; each such failure within an hour (quiet) of the last doubles that, up to `hold_max`. One after a quiet hour
 * begins with `hold` again. A backend that flaps while another one is in use keeps the hold it has.
 */
struct hold_rules {
    uint64_t hold_ms, hold_max_ms, quiet_ms;
};

struct hold {
    uint64_t current_ms; /* how long it must have been up; 0: it never failed in use */
    uint64_t last_failure_ms;
};

void hold_failed(struct hold *hold, const struct hold_rules *rules, uint64_t now_ms);
/* Whether it is held: UP since less than its hold. Then *until_ms is when that ends, for the timer. */
bool hold_is_on(const struct hold *hold, const struct health *health, uint64_t now_ms, uint64_t *until_ms);
