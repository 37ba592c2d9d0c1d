/*
 * Private to limiter/: reading one command's arguments in order and building its call. The caller of
 * limit_call_parse() owns everything in here. Each parse_* returns false when it has set the call's error.
 */
#pragma once

#include "limiter/companion.h"
#include "limiter/limit_call.h"

struct grammar {
    struct limit_call *call;
    const struct command *row;
    const struct limit_settings *settings;
    const struct limit_slice *args;
    uint32_t argc, at; /* `at` is the next argument to be read */
};

/* An empty call. */
void grammar_start(struct limit_call *call);

/* Error texts. */
extern const char limit_text_syntax[];
extern const char limit_text_range[]; /* ERR value is out of range */
extern const char limit_text_positive[];
extern const char limit_text_semaphore[];
extern const char limit_text_token[];
extern const char limit_text_same_key[];
extern const char limit_text_zero_rate[];
extern const char limit_text_throttle_usage[];

bool grammar_fail(struct grammar *g, const char *text);
bool grammar_wrong_number(struct grammar *g);

/* Whether the next argument is this word in any case; if so it is read. */
bool grammar_word(struct grammar *g, const char *word);
/* The next argument; a missing one is a syntax error. */
bool grammar_slice(struct grammar *g, struct limit_slice *slice);
/* The next argument as an integer within [least, most]; the error is Redis's for what is no integer. */
bool grammar_integer(struct grammar *g, int64_t least, int64_t most, int64_t *n);
/* A syntax error unless all is read. */
bool grammar_end(struct grammar *g);

/* Appends to the call. */
void grammar_key(struct grammar *g, const struct limit_slice *key, unsigned kinds);
void grammar_put(struct grammar *g, const char *word);
void grammar_put_bytes(struct grammar *g, const struct limit_slice *bytes);
void grammar_put_number(struct grammar *g, int64_t n);

bool parse_throttle(struct grammar *g);
bool parse_increx(struct grammar *g);
bool parse_limit(struct grammar *g);  /* LIM.GCRA, WINDOW, SLIDE */
bool parse_refund(struct grammar *g); /* LIM.REFUND */
bool parse_reset(struct grammar *g);  /* LIM.RESET */
bool parse_multi(struct grammar *g);  /* LIM.MULTI */
bool parse_sem(struct grammar *g);    /* SEM.* */

/* A token: not empty, and not one of the names that a semaphore's script makes for itself. */
bool grammar_token(struct grammar *g, struct limit_slice *token);
/* A lease in ms, returned in microseconds; max, lease and token. */
bool grammar_lease(struct grammar *g, int64_t *lease_us);
bool grammar_semaphore(struct grammar *g, int64_t *max, int64_t *lease_us, struct limit_slice *token);
