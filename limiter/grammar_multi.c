/* LIM.MULTI n key1 .. keyn, then n times GCRA l c p | WINDOW l w | SLIDE l w, each with [COST q], or SEM max lease
 * token. */
#include <string.h>

#include "limiter/terms.h"

static bool equal(const struct limit_key *a, const struct limit_key *b)
{
    return a->slot == b->slot && a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

/* The key of limit n, which must be new; at most LIMIT_MULTI_MAX, so comparing with all is cheap. */
static bool add_key(struct grammar *g, const struct limit_slice *key, unsigned kinds)
{
    struct limit_call *call = g->call;
    uint32_t last = call->key_count;

    grammar_key(g, key, kinds);
    for (uint32_t i = 0; i < last; i++) {
        if (equal(&call->keys[i], &call->keys[last]))
            return grammar_fail(g, limit_text_same_key);
    }
    return true;
}

static bool semaphore(struct grammar *g, const struct limit_slice *key)
{
    bool reserved = g->settings->reservations;
    struct limit_slice token;
    int64_t max, lease_us;

    if (!grammar_semaphore(g, &max, &lease_us, &token))
        return false;
    grammar_put(g, "sem");
    grammar_put_number(g, max);
    grammar_put_number(g, lease_us);
    grammar_put_bytes(g, &token);
    grammar_put(g, reserved ? "reserved" : "-");
    return add_key(g, key, COMPANION_NONE | COMPANION_META | (reserved ? COMPANION_HELD : 0));
}

static void put_terms(struct grammar *g, const struct terms *terms, const struct emission *emission)
{
    bool log = terms->options & OPTION_LOG;

    switch (terms->algorithm) {
    case ALGORITHM_GCRA:
        grammar_put(g, "gcra");
        grammar_put_number(g, terms->limit);
        grammar_put_number(g, emission->e);
        grammar_put_number(g, emission->unit);
        break;
    case ALGORITHM_WINDOW:
        grammar_put(g, "window");
        grammar_put_number(g, terms->limit);
        grammar_put_number(g, terms->period_ms * 1000);
        grammar_put(g, terms->epoch ? "epoch" : "first");
        break;
    case ALGORITHM_SLIDE:
        grammar_put(g, log ? "log" : "slide");
        grammar_put_number(g, terms->limit);
        grammar_put_number(g, log ? terms->period_ms * 1000 : terms->period_ms);
        grammar_put(g, "-");
        break;
    }
    grammar_put_number(g, terms->cost);
}

static bool limit(struct grammar *g, const struct limit_slice *key)
{
    struct emission emission = {0};
    enum algorithm algorithm;
    struct terms terms;

    if (!terms_algorithm(g, &algorithm) ||
        !terms_read(g, &terms, algorithm, OPTION_COST | OPTION_ALIGN | OPTION_LOG | OPTION_COUNTER) ||
        !terms_check(g, &terms, false, &emission))
        return false;
    put_terms(g, &terms, &emission);
    return add_key(g, key, COMPANION_NONE);
}

bool parse_multi(struct grammar *g)
{
    int64_t n;

    if (!grammar_integer(g, 1, LIMIT_MULTI_MAX, &n))
        return false;
    if (n > g->argc - 2)
        return grammar_fail(g, limit_text_syntax);
    g->at = 2 + (uint32_t)n;
    for (uint32_t i = 0; i < n; i++) {
        bool sem = grammar_word(g, "SEM");

        if (!(sem ? semaphore : limit)(g, &g->args[2 + i]))
            return false;
        g->call->repeatable = g->call->repeatable || sem; /* a repeat is known by its tokens */
    }
    g->call->script = SCRIPT_lim_multi;
    return grammar_end(g);
}
