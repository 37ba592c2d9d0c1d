/*
 * RESPGATE EXPLAIN: what would become of a command, and why, without sending anything.
 */
#include <stdlib.h>
#include <string.h>

#include "limiter/repair_call.h"
#include "protocol/reply.h"
#include "proxy/flow/adopt.h"
#include "proxy/flow/client.h"
#include "proxy/flow/limiter.h"
#include "proxy/flow/repair.h"
#include "proxy/flow/repair_book.h"
#include "proxy/flow/repairer.h"

enum { SHOWN_ARGS = 24, SHOWN_BYTES = 64 };

/* One argument; what is no printable character as \xNN. */
static void put_arg(FILE *out, const uint8_t *arg, size_t len)
{
    if (!len)
        fputs("\"\"", out);
    for (size_t i = 0; i < len && i < SHOWN_BYTES; i++) {
        if (arg[i] > ' ' && arg[i] < 0x7f && arg[i] != '\\')
            fputc(arg[i], out);
        else
            fprintf(out, "\\x%02x", arg[i]);
    }
    if (len > SHOWN_BYTES)
        fputs("...", out);
}

static void put_request(FILE *out, const uint8_t *bytes, size_t len)
{
    struct request_args args;
    const uint8_t *arg;
    size_t arg_len;

    request_args_start(&args, bytes, len);
    for (unsigned i = 0; i < SHOWN_ARGS && request_args_next(&args, &arg, &arg_len); i++) {
        if (i)
            fputc(' ', out);
        put_arg(out, arg, arg_len);
    }
    fputs(args.left ? " ...\r\n" : "\r\n", out);
}

static void put_script(FILE *out, struct client *client)
{
    struct limiter *limiter = client->worker->limiter;
    enum limit_form form = limiter->call.client.len ? LIMIT_EVAL : LIMIT_EVALSHA;
    size_t len = limiter_encode(limiter, client->pool->key.backend, form, LIMIT_NEVER_US);

    fprintf(out, "script:%s\r\nsent:", limit_script(limiter->call.script, client->pool->key.backend->dialect)->name);
    put_request(out, limiter->out, len);
}

static const char *purpose(const struct repair_command *command)
{
    switch (command->step) {
    case REPAIR_CHECK:
        return "a check: it reserves a place while there is room, and is told a count that leaves none else";
    case REPAIR_ACT:
        return "an act: it takes what its check reserved, or the oldest reservation of another connection";
    case REPAIR_COUNT:
        return "a count: the key never stays without an expiry, and a count beyond max is not stored";
    case REPAIR_EXPIRE:
        return "gives a counter its end: only looked at";
    case REPAIR_PURGE:
        return "removes what is over: all but leases of SEM.ACQUIRE that live";
    }
    return "";
}

/* As the next command of this client would be sent, but that nothing is counted. */
static void explain_repair(FILE *out, struct client *client)
{
    struct repairer *repairer = client->worker->repairer;
    const struct repair_command *command = &repairer->command;
    const struct repair_rule *rule = command->rule;
    struct repair_learn learn;

    repair_book_look(repairer_book(repairer), rule->index, NULL, &learn);
    struct repair_terms terms = {
        .max = learn.stops_at && learn.stops_at < rule->max ? learn.stops_at : rule->max,
        .refused = repair_learn_refused(&learn),
        .hold_us = repair_learn_hold_us(&learn),
        .owner = repair_owner(repairer->seed, client->id),
        .resp = client->pool->key.resp,
    };

    fprintf(out, "rule:%s, key:%s, max %lld, %s\r\n", rule->name, rule->pattern, (long long)rule->max,
            rule->mode == REPAIR_ENFORCE ? "enforced" : "observed");
    fprintf(out, "why:%s\r\n", purpose(command));
    if (rule->mode == REPAIR_OBSERVE || !repair_has_script(command)) {
        fputs("sent:as it is, and its reply is looked at\r\n", out);
    } else if (repair_too_many(command)) {
        fputs("sent:not at all: more members than a script takes at once\r\n", out);
    } else {
        repair_call(&client->worker->limiter->call, command, &terms);
        put_script(out, client);
    }
}

static void explain_limit(FILE *out, struct client *client, const struct command *row, const uint8_t *bytes, size_t len)
{
    struct limiter *limiter = client->worker->limiter;

    if (!limiter_parse(limiter, row, bytes, len)) {
        fprintf(out, "why:it is a mistake: %.100s\r\nsent:not at all\r\n", limiter->error);
        return;
    }
    fprintf(out, "rule:%s\r\nwhy:a limiter command\r\n", limiter->rule ? limiter->rule->name : "none");
    put_script(out, client);
}

static const char *other_way(const struct client *client, const struct command *row)
{
    if (client->worker->settings->refused[row->index])
        return "not at all: refused by policy (listen.refuse_commands)";
    switch ((enum command_class)row->cls) {
    case COMMAND_PIN:
        return "as it is, on a backend connection of its own";
    case COMMAND_LOCAL:
        return "not at all: answered here";
    case COMMAND_REWRITE:
        return "not at all, or changed: it concerns all clients of this proxy";
    default:
        return "as it is, on a shared backend connection";
    }
}

static void explain(FILE *out, struct client *client, const uint8_t *bytes, size_t len)
{
    struct request_args args;
    const uint8_t *name = NULL, *sub = NULL;
    size_t name_len = 0, sub_len = 0;
    enum adopt_fit fit;

    request_args_start(&args, bytes, len);
    uint32_t argc = args.left;
    request_args_next(&args, &name, &name_len);
    request_args_next(&args, &sub, &sub_len);
    const struct command *row = command_find(name, name_len, sub, sub_len);
    fputs("command:", out);
    put_request(out, bytes, len);
    if (row->cls == COMMAND_LIMIT) {
        explain_limit(out, client, row, bytes, len);
    } else if (repairer_read(client->worker->repairer, row, bytes, len)) {
        explain_repair(out, client);
    } else if ((fit = adopt_explain(out, client, row, bytes, len)) != ADOPT_NONE) {
        if (fit == ADOPT_FITS)
            put_script(out, client);
    } else if (repair_show_explain(out, client, &(struct call){.bytes = bytes, .len = len, .argc = argc, .row = row})) {
        put_script(out, client);
    } else {
        fprintf(out, "rule:none\r\nwhy:no rule has to do with this command on this key\r\nsent:%s\r\n",
                other_way(client, row));
    }
}

size_t repair_explain(struct client *client, const struct call *call)
{
    struct request_args args;
    const uint8_t *arg = NULL, *end = call->bytes + call->len;
    size_t arg_len = 0, len = 0;
    char *text = NULL;
    uint8_t *bytes = malloc(call->len + 1);
    FILE *out = open_memstream(&text, &len);

    request_args_start(&args, call->bytes, call->len);
    request_args_next(&args, &arg, &arg_len);
    request_args_next(&args, &arg, &arg_len);
    const uint8_t *rest = arg + arg_len + 2;
    if (bytes && out) {
        size_t n = (size_t)snprintf((char *)bytes, call->len, "*%u\r\n", call->argc - 2);
        memcpy(bytes + n, rest, (size_t)(end - rest));
        explain(out, client, bytes, n + (size_t)(end - rest));
    }
    if (out)
        fclose(out);
    client_answer_text(client, text ? text : "", len);
    free(text);
    free(bytes);
    return call->len;
}
