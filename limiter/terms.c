#include "limiter/terms.h"

#include "protocol/reply.h"

/* Twice this and one more is still below 2^53: a limit and a cost that is just too large for it. */
static const int64_t MOST = LIMIT_NEVER_US / 2;

static const struct {
    const char *word;
    unsigned option;
    unsigned excludes; /* given before, they make this one a syntax error */
} options[] = {
    {"COST", OPTION_COST, 0},
    {"PEEK", OPTION_PEEK, OPTION_PARTIAL | OPTION_COUNTDENIED},
    {"PARTIAL", OPTION_PARTIAL, OPTION_PEEK | OPTION_COUNTDENIED},
    {"COUNTDENIED", OPTION_COUNTDENIED, OPTION_PEEK | OPTION_PARTIAL},
    {"DELAY", OPTION_DELAY, 0},
    {"ALIGN", OPTION_ALIGN, 0},
    {"LOG", OPTION_LOG, OPTION_COUNTER},
    {"COUNTER", OPTION_COUNTER, OPTION_LOG},
    {"IDEM", OPTION_IDEM, 0},
};

static const unsigned of_algorithm[] = {
    [ALGORITHM_GCRA] = OPTION_COST | OPTION_PEEK | OPTION_PARTIAL | OPTION_DELAY | OPTION_IDEM,
    [ALGORITHM_WINDOW] = OPTION_COST | OPTION_PEEK | OPTION_PARTIAL | OPTION_COUNTDENIED | OPTION_ALIGN | OPTION_IDEM,
    [ALGORITHM_SLIDE] = OPTION_COST | OPTION_PEEK | OPTION_LOG | OPTION_COUNTER | OPTION_IDEM,
};

bool terms_algorithm(struct grammar *g, enum algorithm *algorithm)
{
    if (grammar_word(g, "GCRA"))
        *algorithm = ALGORITHM_GCRA;
    else if (grammar_word(g, "WINDOW"))
        *algorithm = ALGORITHM_WINDOW;
    else if (grammar_word(g, "SLIDE"))
        *algorithm = ALGORITHM_SLIDE;
    else
        return grammar_fail(g, limit_text_syntax);
    return true;
}

/* The next word's row if it is an option out of `allowed`, else -1 and nothing is read. */
static int next_option(struct grammar *g, unsigned allowed)
{
    for (unsigned i = 0; i < sizeof options / sizeof options[0]; i++) {
        if (options[i].option & allowed && grammar_word(g, options[i].word))
            return (int)i;
    }
    return -1;
}

static bool read_align(struct grammar *g, struct terms *terms)
{
    terms->epoch = grammar_word(g, "EPOCH");
    return terms->epoch || grammar_word(g, "FIRST") || grammar_fail(g, limit_text_syntax);
}

/* What follows the option's word. */
static bool read_value(struct grammar *g, struct terms *terms, unsigned option)
{
    switch (option) {
    case OPTION_COST:
        return grammar_integer(g, 1, LIMIT_NEVER_US, &terms->cost);
    case OPTION_DELAY:
        return grammar_integer(g, 0, LIMIT_LONGEST_MS, &terms->delay_ms);
    case OPTION_ALIGN:
        return read_align(g, terms);
    case OPTION_IDEM:
        return grammar_slice(g, &g->call->id);
    default:
        return true;
    }
}

static bool read_options(struct grammar *g, struct terms *terms, unsigned allowed)
{
    int row;

    while ((row = next_option(g, allowed)) >= 0) {
        if (terms->options & (options[row].option | options[row].excludes))
            return grammar_fail(g, limit_text_syntax);
        terms->options |= options[row].option;
        if (!read_value(g, terms, options[row].option))
            return false;
    }
    return true;
}

bool terms_read(struct grammar *g, struct terms *terms, enum algorithm algorithm, unsigned allowed)
{
    *terms = (struct terms){.algorithm = algorithm, .count = 1, .cost = 1};
    if (!grammar_integer(g, INT64_MIN, INT64_MAX, &terms->limit) ||
        (algorithm == ALGORITHM_GCRA && !grammar_integer(g, INT64_MIN, INT64_MAX, &terms->count)) ||
        !grammar_integer(g, INT64_MIN, INT64_MAX, &terms->period_ms))
        return false;
    if (terms->limit < 1 || terms->count < 1 || terms->period_ms < 1)
        return grammar_fail(g, limit_text_positive);
    if (terms->limit > MOST || terms->period_ms > LIMIT_LONGEST_MS)
        return grammar_fail(g, limit_text_range);
    return read_options(g, terms, allowed & of_algorithm[algorithm]);
}

/* Whether the emission interval in units of `unit` ns, and all that is built of it, stays within `most` units. */
static bool emission_fits(const struct terms *terms, int64_t unit, int64_t most, struct emission *emission)
{
    int64_t per_ms = 1000000 / unit, sum, delay = terms->delay_ms, all;

    emission->unit = unit;
    emission->e = terms->period_ms * per_ms / terms->count;
    if (emission->e < 1 || __builtin_add_overflow(terms->limit, terms->cost, &sum) ||
        __builtin_mul_overflow(delay, per_ms, &emission->delay) || __builtin_mul_overflow(emission->e, sum, &all) ||
        __builtin_add_overflow(all, emission->delay, &all))
        return false;
    return all <= most;
}

bool terms_check(struct grammar *g, struct terms *terms, bool refund, struct emission *emission)
{
    int64_t longest_us = LIMIT_LONGEST_MS * 1000, product;

    /* What cannot fit is refused all the same when it is cut down to just too much. */
    if (!refund && terms->cost > terms->limit)
        terms->cost = terms->limit + 1;
    switch (terms->algorithm) {
    case ALGORITHM_GCRA:
        if (emission_fits(terms, 1, LIMIT_NEVER_US, emission) || emission_fits(terms, 1000, longest_us, emission))
            return true;
        break;
    case ALGORITHM_SLIDE:
        if (terms->options & OPTION_LOG ||
            (!__builtin_mul_overflow(terms->limit + 1, terms->period_ms, &product) && product <= LIMIT_NEVER_US))
            return true;
        break;
    case ALGORITHM_WINDOW:
        return true;
    }
    return grammar_fail(g, limit_text_range);
}
