#include "limiter/grammar.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "protocol/command.h"
#include "protocol/reply.h"

const char limit_text_syntax[] = "ERR syntax error";
const char limit_text_range[] = "ERR value is out of range";
const char limit_text_positive[] = "ERR limit and period must be positive";
const char limit_text_semaphore[] = "ERR max and lease must be positive";
const char limit_text_token[] = "ERR a token must not be empty or begin with a NUL byte";
const char limit_text_same_key[] = "ERR the keys must all be different";
const char limit_text_zero_rate[] = "Cell error: Store error: Zero rates are not supported";
const char limit_text_throttle_usage[] =
    "Cell error: Store error: Usage: cl.throttle <key> <max_burst> <count per period> <period> [<quantity>]";

bool grammar_fail(struct grammar *g, const char *text)
{
    snprintf(g->call->error, sizeof g->call->error, "%s", text);
    return false;
}

bool grammar_wrong_number(struct grammar *g)
{
    char *error = g->call->error;
    int len = snprintf(error, LIMIT_ERROR_MAX, "ERR wrong number of arguments for '%s' command", g->row->name);

    for (int i = 0; i < len; i++) {
        if (error[i] >= 'A' && error[i] <= 'Z' && i > 3)
            error[i] = (char)tolower(error[i]);
    }
    return false;
}

bool grammar_word(struct grammar *g, const char *word)
{
    size_t len = strlen(word);

    if (g->at >= g->argc || g->args[g->at].len != len ||
        strncasecmp((const char *)g->args[g->at].bytes, word, len) != 0)
        return false;
    g->at++;
    return true;
}

bool grammar_slice(struct grammar *g, struct limit_slice *slice)
{
    if (g->at >= g->argc)
        return grammar_fail(g, limit_text_syntax);
    *slice = g->args[g->at++];
    return true;
}

bool grammar_integer(struct grammar *g, int64_t least, int64_t most, int64_t *n)
{
    struct limit_slice arg;

    if (!grammar_slice(g, &arg))
        return false;
    if (!number_read(arg.bytes, arg.len, n) || *n < least || *n > most)
        return grammar_fail(g, reply_text_not_integer);
    return true;
}

bool grammar_end(struct grammar *g)
{
    return g->at == g->argc || grammar_fail(g, limit_text_syntax);
}

bool grammar_token(struct grammar *g, struct limit_slice *token)
{
    if (!grammar_slice(g, token))
        return false;
    if (token->len == 0 || token->bytes[0] == '\0')
        return grammar_fail(g, limit_text_token);
    return true;
}

void grammar_key(struct grammar *g, const struct limit_slice *key, unsigned kinds)
{
    struct limit_call *call = g->call;

    assert(call->key_count < LIMIT_KEYS_MAX);
    struct limit_key *entry = &call->keys[call->key_count++];
    entry->bytes = key->bytes;
    entry->len = (uint32_t)key->len;
    entry->kinds = (uint8_t)kinds;
    entry->slot = companion_slot(key->bytes, key->len);
    call->same_slot = call->same_slot && entry->slot == call->keys[0].slot;
}

static struct limit_argument *new_argument(struct grammar *g)
{
    assert(g->call->argument_count < LIMIT_ARGUMENTS_MAX);
    return &g->call->arguments[g->call->argument_count++];
}

void grammar_put_bytes(struct grammar *g, const struct limit_slice *bytes)
{
    struct limit_argument *argument = new_argument(g);

    argument->bytes = bytes->bytes;
    argument->len = (uint32_t)bytes->len;
    argument->is_number = false;
}

void grammar_put(struct grammar *g, const char *word)
{
    grammar_put_bytes(g, &(struct limit_slice){(const uint8_t *)word, strlen(word)});
}

void grammar_put_number(struct grammar *g, int64_t n)
{
    struct limit_argument *argument = new_argument(g);

    argument->number = n;
    argument->is_number = true;
}

/* All but the arrays, which are written before they are read. */
void grammar_start(struct limit_call *call)
{
    call->shape = LIMIT_AS_IT_IS;
    call->repeatable = false;
    call->same_slot = true;
    call->fair = false;
    call->after = NULL;
    call->client = (struct limit_slice){NULL, 0};
    call->wait_ms = 0;
    call->key_count = call->argument_count = 0;
    call->id = (struct limit_slice){NULL, 0};
    call->error[0] = '\0';
}

/* Lengths are kept in 32 bits; a server takes no bulk of 4 GiB either. */
static bool too_large(const struct grammar *g)
{
    for (uint32_t i = 0; i < g->argc; i++) {
        if (g->args[i].len > UINT32_MAX / 2)
            return true;
    }
    return false;
}

bool limit_call_parse(struct limit_call *call, const struct command *row, const struct limit_slice *args, uint32_t argc,
                      const struct limit_settings *settings)
{
    struct grammar g = {.call = call, .row = row, .settings = settings, .args = args, .argc = argc, .at = 1};

    grammar_start(call);
    if (row->id != CMD_CL_THROTTLE && (!command_arity_ok(row, argc) || argc > LIMIT_ARGS_MAX))
        return grammar_wrong_number(&g);
    if (too_large(&g))
        return grammar_fail(&g, reply_text_rglimit_command);
    switch (row->id) {
    case CMD_CL_THROTTLE:
        return parse_throttle(&g);
    case CMD_INCREX:
        return parse_increx(&g);
    case CMD_LIM_GCRA:
    case CMD_LIM_WINDOW:
    case CMD_LIM_SLIDE:
        return parse_limit(&g);
    case CMD_LIM_REFUND:
        return parse_refund(&g);
    case CMD_LIM_RESET:
        return parse_reset(&g);
    case CMD_LIM_MULTI:
        return parse_multi(&g);
    default:
        return parse_sem(&g);
    }
}
