#include "limiter/limit_facts.h"

#include <string.h>

#define NS INT64_C(1000000000)

enum { MULTI_TERMS = 5 }; /* arguments of one limit of a LIM.MULTI */

static int64_t number(const struct limit_call *call, unsigned i)
{
    return call->arguments[i].number;
}

static bool word_is(const struct limit_call *call, unsigned i, const char *word)
{
    const struct limit_argument *argument = &call->arguments[i];

    return !argument->is_number && argument->len == strlen(word) && !memcmp(argument->bytes, word, argument->len);
}

/* What the scripts of one limit have in common. */
struct terms {
    bool is_gcra;
    int64_t limit, span, delay_us, cost; /* span: emission interval in ns, or window in us */
};

static int64_t throttle_interval(const struct limit_call *call)
{
    int64_t limit = number(call, 0);

    /* E * limit is exact, E for `remaining` is cut to microseconds. */
    return limit ? (number(call, 1) * NS + number(call, 2)) / limit : number(call, 5) * number(call, 6);
}

static bool read_terms(const struct limit_call *call, struct terms *terms)
{
    *terms = (struct terms){.limit = number(call, 1)};
    switch (call->script) {
    case SCRIPT_lim_gcra:
        terms->is_gcra = true;
        terms->span = number(call, 2) * number(call, 3);
        terms->cost = number(call, 4);
        terms->delay_us = number(call, 5) * number(call, 3) / 1000;
        return true;
    case SCRIPT_lim_window:
        terms->span = number(call, 2);
        terms->cost = number(call, 4);
        return true;
    case SCRIPT_lim_slide:
        terms->span = number(call, 2) * 1000;
        terms->cost = number(call, 3);
        return true;
    case SCRIPT_lim_slide_log:
        terms->span = number(call, 2);
        terms->cost = number(call, 3);
        return true;
    case SCRIPT_cl_throttle:
        terms->is_gcra = true;
        terms->limit = number(call, 0);
        terms->span = throttle_interval(call);
        terms->cost = terms->span ? (number(call, 3) * NS + number(call, 4)) / terms->span : 0;
        return true;
    default:
        return false;
    }
}

static enum deny_algorithm algorithm_of(const struct limit_call *call)
{
    switch (call->script) {
    case SCRIPT_lim_gcra:
        return DENY_GCRA;
    case SCRIPT_lim_window:
        return DENY_WINDOW;
    case SCRIPT_lim_slide:
        return DENY_SLIDE;
    case SCRIPT_lim_slide_log:
        return DENY_SLIDE_LOG;
    default:
        return DENY_THROTTLE;
    }
}

bool limit_facts_deny(const struct limit_call *call, struct deny_call *deny)
{
    bool throttle = call->script == SCRIPT_cl_throttle;
    struct terms terms;

    if (!read_terms(call, &terms) || call->id.bytes || terms.cost < 1)
        return false;
    bool partial = !throttle && word_is(call, 0, "partial");
    if (!throttle && !partial && !word_is(call, 0, "take"))
        return false;
    *deny = (struct deny_call){
        .key = call->keys[0].bytes,
        .key_len = call->keys[0].len,
        .algorithm = algorithm_of(call),
        .limit = terms.limit,
        .span = terms.span,
        .delay_us = terms.delay_us,
        .cost = partial ? 1 : terms.cost,
    };
    return true;
}

bool limit_facts_local(const struct limit_call *call, struct local_call *local)
{
    bool throttle = call->script == SCRIPT_cl_throttle;
    struct terms terms;

    if (!read_terms(call, &terms) || terms.limit < 1 || terms.span < 1)
        return false;
    if (!throttle && word_is(call, 0, "refund"))
        return false;
    bool peek = throttle ? terms.cost == 0 : word_is(call, 0, "peek");
    if (terms.cost < 0)
        return false;
    *local = (struct local_call){
        .key = call->keys[0].bytes,
        .key_len = call->keys[0].len,
        .algorithm = terms.is_gcra ? LOCAL_GCRA : LOCAL_WINDOW,
        .mode = peek                                       ? LOCAL_PEEK
                : !throttle && word_is(call, 0, "partial") ? LOCAL_PARTIAL
                                                           : LOCAL_TAKE,
        .limit = terms.limit,
        .span = terms.span,
        .cost = terms.cost > 0 ? terms.cost : 1,
    };
    return true;
}

static struct down_call multi_term(const struct limit_call *call, unsigned at)
{
    if (word_is(call, at, "sem"))
        return (struct down_call){
            .kind = DOWN_SEM, .limit = number(call, at + 1), .cost = 1, .lease_ms = number(call, at + 2) / 1000};
    return (struct down_call){.kind = DOWN_LIMIT, .limit = number(call, at + 1), .cost = number(call, at + 4)};
}

static struct down_call single(const struct limit_call *call)
{
    struct terms terms;

    if (call->script == SCRIPT_sem_acquire || call->script == SCRIPT_sem_acquire_fifo)
        return (struct down_call){
            .kind = DOWN_SEM, .limit = number(call, 0), .cost = number(call, 3), .lease_ms = number(call, 1) / 1000};
    if (!read_terms(call, &terms) || (call->script != SCRIPT_cl_throttle && word_is(call, 0, "refund")))
        return (struct down_call){.kind = DOWN_ERROR};
    return (struct down_call){.kind = call->script == SCRIPT_cl_throttle ? DOWN_THROTTLE : DOWN_LIMIT,
                              .limit = terms.limit,
                              .cost = terms.cost};
}

size_t limit_facts_down(const struct limit_call *call, struct down_call downs[LIMIT_MULTI_MAX], bool *multi)
{
    size_t n = call->argument_count / MULTI_TERMS;

    *multi = call->script == SCRIPT_lim_multi;
    if (!*multi) {
        downs[0] = single(call);
        return 1;
    }
    for (size_t i = 0; i < n; i++)
        downs[i] = multi_term(call, (unsigned)i * MULTI_TERMS);
    return n;
}

bool limit_facts_slides(const struct limit_call *call)
{
    if (call->script == SCRIPT_lim_slide || call->script == SCRIPT_lim_slide_log)
        return true;
    for (unsigned at = 0; call->script == SCRIPT_lim_multi && at + MULTI_TERMS <= call->argument_count;
         at += MULTI_TERMS) {
        if (word_is(call, at, "slide") || word_is(call, at, "log"))
            return true;
    }
    return false;
}

bool limit_facts_lowers(const struct limit_call *call)
{
    struct terms terms;

    if (call->script == SCRIPT_lim_reset || call->script == SCRIPT_increx)
        return true;
    if (!read_terms(call, &terms))
        return false;
    return call->script == SCRIPT_cl_throttle ? terms.cost < 0 : word_is(call, 0, "refund");
}

bool limit_facts_asks(const struct limit_call *call)
{
    switch (call->script) {
    case SCRIPT_lim_gcra:
    case SCRIPT_lim_window:
    case SCRIPT_lim_slide:
    case SCRIPT_lim_slide_log:
        return !word_is(call, 0, "refund");
    case SCRIPT_cl_throttle:
        return !limit_facts_lowers(call);
    case SCRIPT_lim_multi:
    case SCRIPT_sem_acquire:
    case SCRIPT_sem_acquire_fifo:
        return true;
    default:
        return false;
    }
}
