/* LIM.GCRA, LIM.WINDOW, LIM.SLIDE, LIM.REFUND and LIM.RESET. */
#include "limiter/terms.h"
#include "protocol/command.h"

static const char *mode_word(unsigned options, bool refund)
{
    if (refund)
        return "refund";
    if (options & OPTION_PEEK)
        return "peek";
    if (options & OPTION_PARTIAL)
        return "partial";
    return options & OPTION_COUNTDENIED ? "countdenied" : "take";
}

/* For how long a repeated id is known: until what it charged no longer counts. */
static int64_t kept_ms(const struct terms *terms, const struct emission *emission)
{
    int64_t per_ms = 1000000 / emission->unit, full_ms;

    if (terms->algorithm != ALGORITHM_GCRA)
        return terms->period_ms;
    full_ms = emission->e * terms->limit / per_ms + 1;
    return full_ms > terms->period_ms ? full_ms : terms->period_ms;
}

static void put_gcra(struct grammar *g, const struct terms *terms, const struct emission *emission)
{
    g->call->script = SCRIPT_lim_gcra;
    grammar_put_number(g, terms->limit);
    grammar_put_number(g, emission->e);
    grammar_put_number(g, emission->unit);
    grammar_put_number(g, terms->cost);
    grammar_put_number(g, emission->delay);
}

static void put_window(struct grammar *g, const struct terms *terms)
{
    g->call->script = SCRIPT_lim_window;
    grammar_put_number(g, terms->limit);
    grammar_put_number(g, terms->period_ms * 1000);
    grammar_put(g, terms->epoch ? "epoch" : "first");
    grammar_put_number(g, terms->cost);
}

static void put_slide(struct grammar *g, const struct terms *terms)
{
    bool log = terms->options & OPTION_LOG;

    g->call->script = log ? SCRIPT_lim_slide_log : SCRIPT_lim_slide;
    grammar_put_number(g, terms->limit);
    grammar_put_number(g, log ? terms->period_ms * 1000 : terms->period_ms);
    grammar_put_number(g, terms->cost);
}

/* From the limit on; g->args[1] is the key. */
static bool one_limit(struct grammar *g, enum algorithm algorithm, unsigned allowed, bool refund)
{
    struct emission emission = {.unit = 1};
    struct terms terms;

    if (!terms_read(g, &terms, algorithm, allowed) || !grammar_end(g))
        return false;
    if (refund && !(terms.options & OPTION_COST))
        return grammar_fail(g, limit_text_syntax);
    if (!terms_check(g, &terms, refund, &emission))
        return false;
    bool idem = terms.options & OPTION_IDEM;
    g->call->repeatable = idem || terms.options & OPTION_PEEK;
    grammar_key(g, &g->args[1], COMPANION_NONE | (!idem ? 0 : refund ? COMPANION_BACK : COMPANION_IDEM));
    grammar_put(g, mode_word(terms.options, refund));
    if (algorithm == ALGORITHM_GCRA)
        put_gcra(g, &terms, &emission);
    else if (algorithm == ALGORITHM_WINDOW)
        put_window(g, &terms);
    else
        put_slide(g, &terms);
    grammar_put_number(g, kept_ms(&terms, &emission));
    return true;
}

bool parse_limit(struct grammar *g)
{
    enum algorithm algorithm = g->row->id == CMD_LIM_GCRA     ? ALGORITHM_GCRA
                               : g->row->id == CMD_LIM_WINDOW ? ALGORITHM_WINDOW
                                                              : ALGORITHM_SLIDE;

    g->at = 2;
    return one_limit(g, algorithm, ~0u, false);
}

bool parse_refund(struct grammar *g)
{
    enum algorithm algorithm;

    g->at = 2;
    return terms_algorithm(g, &algorithm) &&
           one_limit(g, algorithm, ~(unsigned)(OPTION_PEEK | OPTION_PARTIAL | OPTION_COUNTDENIED), true);
}

bool parse_reset(struct grammar *g)
{
    uint32_t count = g->argc - 1;

    for (uint32_t i = 1; i <= count; i++)
        grammar_key(g, &g->args[i], COMPANION_NONE);
    for (uint32_t i = 1; i <= count; i++)
        grammar_key(g, &g->args[i], COMPANION_META | COMPANION_QUEUE | COMPANION_WAIT | COMPANION_HELD);
    g->call->script = SCRIPT_lim_reset;
    grammar_put_number(g, count);
    return true;
}
