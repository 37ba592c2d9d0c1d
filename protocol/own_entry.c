/* The entries of own commands, as a Redis server prints those of its own. */
#include <string.h>

#include "protocol/own_command.h"
#include "protocol/resp.h"

/* In the order in which a server names them. */
static const struct {
    unsigned flag;
    const char *word;
} flag_words[] = {
    {COMMAND_WRITE, "write"},
    {COMMAND_READ, "readonly"},
    {COMMAND_DENYOOM, "denyoom"},
    {COMMAND_MOVABLE_KEYS, "movablekeys"},
};

static const char *const access_words[][3] = {
    [OWN_READS] = {"RO", "access"},
    [OWN_UPDATES] = {"RW", "access", "update"},
    [OWN_RELEASES] = {"RW", "delete"},
    [OWN_REMOVES] = {"RM", "delete"},
};

static const char *const type_words[] = {
    [OWN_STRING] = "string",  [OWN_INTEGER] = "integer",  [OWN_DOUBLE] = "double", [OWN_KEY] = "key",
    [OWN_TIME] = "unix-time", [OWN_TOKEN] = "pure-token", [OWN_ONE_OF] = "oneof",  [OWN_BLOCK] = "block",
};

static const struct command *row_of(const struct own_command *own)
{
    return command_find((const uint8_t *)own->name, strlen(own->name), NULL, 0);
}

static void put_text(struct reply_writer *w, const char *text)
{
    reply_bulk(w, text, strlen(text));
}

static void put_pair(struct reply_writer *w, const char *name, const char *text)
{
    put_text(w, name);
    put_text(w, text);
}

static void put_number(struct reply_writer *w, const char *name, int64_t n)
{
    put_text(w, name);
    reply_integer(w, n);
}

static void put_access(struct reply_writer *w, const struct own_command *own, unsigned resp)
{
    const char *const *words = access_words[own->access];
    size_t n = words[2] ? 3 : 2;

    reply_set(w, resp, n);
    for (size_t i = 0; i < n; i++) {
        reply_simple(w, words[i]);
    }
}

static void put_flags(struct reply_writer *w, const struct command *row, unsigned resp)
{
    reply_set(w, resp, (size_t)__builtin_popcount(row->flags));
    for (size_t i = 0; i < sizeof flag_words / sizeof flag_words[0]; i++) {
        if (row->flags & flag_words[i].flag) {
            reply_simple(w, flag_words[i].word);
        }
    }
}

/* First and last key and the step between, as servers told before key specifications, which alone can say the rest. */
static void put_key_range(struct reply_writer *w, const struct own_command *own)
{
    bool ranges = own->keys == OWN_FIRST_KEY || own->keys == OWN_ALL_KEYS;

    reply_integer(w, ranges);
    reply_integer(w, own->keys == OWN_ALL_KEYS ? -1 : ranges);
    reply_integer(w, ranges);
}

static void put_find_keys(struct reply_writer *w, const struct own_command *own, unsigned resp)
{
    bool numbered = own->keys == OWN_NUMBERED_KEYS;

    put_text(w, "find_keys");
    reply_map(w, resp, 2);
    put_pair(w, "type", numbered ? "keynum" : "range");
    put_text(w, "spec");
    reply_map(w, resp, 3);
    if (numbered) {
        put_number(w, "keynumidx", 0);
        put_number(w, "firstkey", 1);
        put_number(w, "keystep", 1);
    } else {
        put_number(w, "lastkey", own->keys == OWN_ALL_KEYS ? -1 : 0);
        put_number(w, "keystep", 1);
        put_number(w, "limit", 0);
    }
}

static void put_key_specs(struct reply_writer *w, const struct own_command *own, unsigned resp)
{
    reply_set(w, resp, own->keys == OWN_NO_KEY ? 0 : 1);
    if (own->keys == OWN_NO_KEY) {
        return;
    }
    reply_map(w, resp, 3);
    put_text(w, "flags");
    put_access(w, own, resp);
    put_text(w, "begin_search");
    reply_map(w, resp, 2);
    put_pair(w, "type", "index");
    put_text(w, "spec");
    reply_map(w, resp, 1);
    put_number(w, "index", 1);
    put_find_keys(w, own, resp);
}

void own_entry_name(struct reply_writer *w, unsigned i)
{
    put_text(w, own_command_at(i)->name);
}

void own_entry_info(struct reply_writer *w, unsigned i, unsigned resp, unsigned elements)
{
    const struct own_command *own = own_command_at(i);
    const struct command *row = row_of(own);

    reply_array(w, elements);
    own_entry_name(w, i);
    reply_integer(w, row->arity);
    put_flags(w, row, resp);
    put_key_range(w, own);
    if (elements < 7) {
        return;
    }
    reply_set(w, resp, 2);
    reply_simple(w, own->access == OWN_READS ? "@read" : "@write");
    reply_simple(w, "@slow");
    if (elements < 10) {
        return;
    }
    reply_set(w, resp, 0); /* tips */
    put_key_specs(w, own, resp);
    reply_set(w, resp, 0); /* subcommands */
}

/* --- COMMAND DOCS --- */

static void put_argument_flags(struct reply_writer *w, const struct own_argument *argument, unsigned resp)
{
    put_text(w, "flags");
    reply_set(w, resp, (size_t)argument->optional + argument->multiple);
    if (argument->optional) {
        reply_simple(w, "optional");
    }
    if (argument->multiple) {
        reply_simple(w, "multiple");
    }
}

/* Calls itself for the parts of an argument: the table is two deep. */
static void put_arguments(struct reply_writer *w, const struct own_argument *arguments, size_t count, unsigned resp)
{
    put_text(w, "arguments");
    reply_array(w, count);
    for (const struct own_argument *argument = arguments; argument < arguments + count; argument++) {
        bool is_key = argument->type == OWN_KEY, flagged = argument->optional || argument->multiple;
        bool has_parts = argument->argument_count > 0;

        reply_map(w, resp, 2 + (size_t)!has_parts + is_key + (argument->token != NULL) + flagged + has_parts);
        put_pair(w, "name", argument->name);
        put_pair(w, "type", type_words[argument->type]);
        if (!has_parts) {
            put_pair(w, "display_text", argument->name);
        }
        if (is_key) {
            put_number(w, "key_spec_index", 0);
        }
        if (argument->token) {
            put_pair(w, "token", argument->token);
        }
        if (flagged) {
            put_argument_flags(w, argument, resp);
        }
        if (has_parts) {
            put_arguments(w, argument->arguments, argument->argument_count, resp);
        }
    }
}

/* "module" is the group of what is no server's own; clients know no others than the server's. */
void own_entry_docs(struct reply_writer *w, unsigned i, unsigned resp)
{
    const struct own_command *own = own_command_at(i);

    own_entry_name(w, i);
    reply_map(w, resp, 5);
    put_pair(w, "summary", own->summary);
    put_pair(w, "since", "0.1.0"); /* of respgate */
    put_pair(w, "group", "module");
    put_pair(w, "complexity", own->complexity);
    put_arguments(w, own->arguments, own->argument_count, resp);
}

/* --- COMMAND GETKEYS --- */

/* How many keys follow the number; 0 when it is none, or there are fewer arguments. */
static uint32_t read_key_count(struct request_args *arguments)
{
    const uint8_t *digits;
    uint32_t n = 0;
    size_t len;

    if (!request_args_next(arguments, &digits, &len)) {
        return 0;
    }
    for (size_t i = 0; i < len; i++) {
        if (digits[i] < '0' || digits[i] > '9' || (i == 0 && digits[i] == '0')) {
            return 0;
        }
        n = n * 10 + (uint32_t)(digits[i] - '0');
        if (n > arguments->left) {
            return 0;
        }
    }
    return n;
}

const char *own_entry_keys(struct reply_writer *w, unsigned i, unsigned resp, bool with_flags,
                           struct request_args arguments)
{
    const struct own_command *own = own_command_at(i);
    uint32_t count = 1;
    const uint8_t *key;
    size_t len;

    if (own->keys == OWN_NO_KEY) {
        return "ERR The command has no key arguments";
    }
    if (!command_arity_ok(row_of(own), arguments.left + 1)) {
        return "ERR Invalid number of arguments specified for command";
    }
    if (own->keys == OWN_ALL_KEYS) {
        count = arguments.left;
    } else if (own->keys == OWN_NUMBERED_KEYS) {
        count = read_key_count(&arguments);
    }
    if (count == 0) {
        return "ERR Invalid arguments specified for command";
    }
    reply_array(w, count);
    for (; count > 0 && request_args_next(&arguments, &key, &len); count--) {
        if (with_flags) {
            reply_array(w, 2);
        }
        reply_bulk(w, key, len);
        if (with_flags) {
            put_access(w, own, resp);
        }
    }
    return NULL;
}
