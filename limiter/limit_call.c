#include "limiter/limit_call.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "limiter/companion.h"
#include "protocol/decimal.h"

/* Writes, or only counts while `at` is NULL: one code for both, so that the length is always right. */
struct sink {
    uint8_t *at;
    size_t len;
};

static void put(struct sink *sink, const void *bytes, size_t len)
{
    if (sink->at && len > 0) {
        memcpy(sink->at, bytes, len);
        sink->at += len;
    }
    sink->len += len;
}

static void put_header(struct sink *sink, char type, size_t n)
{
    char line[DECIMAL_MAX + 3], *end = line + sizeof line;

    end[-2] = '\r';
    end[-1] = '\n';
    char *at = decimal_print(end - 2, (int64_t)n);
    *--at = type;
    put(sink, at, (size_t)(end - at));
}

static void put_bulk(struct sink *sink, const void *bytes, size_t len)
{
    put_header(sink, '$', len);
    put(sink, bytes, len);
    put(sink, "\r\n", 2);
}

static void put_number(struct sink *sink, int64_t n)
{
    char digits[DECIMAL_MAX], *end = digits + sizeof digits;
    char *at = decimal_print(end, n);

    put_bulk(sink, at, (size_t)(end - at));
}

static void put_key(struct sink *sink, const struct limit_key *key, enum companion_kind kind,
                    const struct limit_slice *id)
{
    char prefix[COMPANION_PREFIX_MAX];
    size_t prefix_len = companion_prefix(prefix, kind, key->slot, key->len);
    size_t id_len = companion_has_id(kind) ? id->len : 0;

    put_header(sink, '$', prefix_len + key->len + id_len);
    put(sink, prefix, prefix_len);
    put(sink, key->bytes, key->len);
    put(sink, id->bytes, id_len);
    put(sink, "\r\n", 2);
}

static unsigned count_keys(const struct limit_call *call)
{
    unsigned count = 0;

    for (uint32_t i = 0; i < call->key_count; i++)
        count += (unsigned)__builtin_popcount(call->keys[i].kinds);
    return count;
}

static void put_keys(struct sink *sink, const struct limit_call *call)
{
    for (uint32_t i = 0; i < call->key_count; i++) {
        for (unsigned bit = 0; bit < COMPANION_KINDS; bit++) {
            if (call->keys[i].kinds & 1u << bit)
                put_key(sink, &call->keys[i], (enum companion_kind)(1u << bit), &call->id);
        }
    }
}

static void put_word(struct sink *sink, const char *word)
{
    put(sink, word, strlen(word));
}

/* What the script becomes with others around it; a first line that is no Lua stays the first. */
static void put_lua(struct sink *sink, const struct limit_script *script, const struct limit_call *call)
{
    const char *lua = script->text[0] == '#' ? strchr(script->text, '\n') + 1 : script->text;

    put(sink, script->text, (size_t)(lua - script->text));
    if (call->client.len) {
        put_word(sink, "local function client(KEYS, ARGV) "); /* on its first line: errors name lines */
        put(sink, call->client.bytes, call->client.len);
        put_word(sink, "\nend\n");
    }
    put_word(sink, call->after ? "local function limit()\n" : "");
    put(sink, lua, script->text_len - (size_t)(lua - script->text));
    if (call->after) {
        put_word(sink, "end\n");
        put_word(sink, call->after);
    }
}

static void put_text(struct sink *sink, const struct limit_script *script, const struct limit_call *call)
{
    struct sink measure = {0};

    put_lua(&measure, script, call);
    put_header(sink, '$', measure.len);
    put_lua(sink, script, call);
    put(sink, "\r\n", 2);
}

size_t limit_call_encode(const struct limit_call *call, enum limit_dialect dialect, enum limit_form form,
                         int64_t deadline_us, uint8_t *out)
{
    const struct limit_script *script = limit_script(call->script, dialect);
    unsigned key_count = count_keys(call);
    struct sink sink = {.at = out};

    put_header(&sink, '*', 4 + (size_t)key_count + call->argument_count);
    if (form == LIMIT_EVALSHA) {
        put_bulk(&sink, "EVALSHA", 7);
        put_bulk(&sink, script->sha, SCRIPT_SHA_LEN);
    } else {
        put_bulk(&sink, "EVAL", 4);
        put_text(&sink, script, call);
    }
    put_number(&sink, key_count);
    put_keys(&sink, call);
    put_number(&sink, deadline_us);
    for (uint32_t i = 0; i < call->argument_count; i++) {
        const struct limit_argument *argument = &call->arguments[i];

        if (argument->is_number)
            put_number(&sink, argument->number);
        else
            put_bulk(&sink, argument->bytes, argument->len);
    }
    return sink.len;
}
