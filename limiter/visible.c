#include "limiter/visible.h"

#include <string.h>
#include <strings.h>

#include "limiter/grammar.h"
#include "protocol/command.h"

bool visible_concerns(const struct command *row)
{
    return row->id == CMD_KEYS || row->id == CMD_SCAN || row->id == CMD_RANDOMKEY;
}

static bool is_word(const struct limit_slice *arg, const char *word)
{
    return arg->len == strlen(word) && strncasecmp((const char *)arg->bytes, word, arg->len) == 0;
}

static bool asks_for_companions(const struct command *row, const struct limit_slice *args, uint32_t argc)
{
    static const char prefix[] = "rg:";
    enum { PREFIX_LEN = sizeof prefix - 1 };

    for (uint32_t i = 1; i < argc; i++) {
        if ((row->id == CMD_KEYS || is_word(&args[i - 1], "MATCH")) && args[i].len >= PREFIX_LEN &&
            memcmp(args[i].bytes, prefix, PREFIX_LEN) == 0)
            return true;
    }
    return false;
}

bool visible_call(struct limit_call *call, const struct command *row, const struct limit_slice *args, uint32_t argc)
{
    struct grammar g = {.call = call};

    if (!command_arity_ok(row, argc) || argc > LIMIT_ARGS_MAX || asks_for_companions(row, args, argc))
        return false;
    grammar_start(call);
    call->script = SCRIPT_visible;
    call->repeatable = true;
    grammar_put(&g, row->name);
    for (uint32_t i = 1; i < argc; i++) {
        if (args[i].len > UINT32_MAX / 2)
            return false;
        grammar_put_bytes(&g, &args[i]);
    }
    return true;
}
