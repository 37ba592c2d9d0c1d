#include "proxy/flow/settings_limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "limiter/repair_command.h"
#include "limiter/visible.h"
#include "proxy/flow/settings.h"

static struct rule_spec read_rule(const struct conf *conf, const char *name)
{
    struct conf_rate rate = conf_rate(conf, "limit", name, "rate");

    return (struct rule_spec){
        .name = name,
        .prefix = conf_string(conf, "limit", name, "prefix"),
        .kind = (enum rule_kind)conf_number(conf, "limit", name, "kind"),
        .count = rate.count,
        .period_ms = rate.period_ms,
        .burst = conf_number(conf, "limit", name, "burst"),
        .max = conf_number(conf, "limit", name, "max"),
        .lease_ms = conf_number(conf, "limit", name, "lease"),
        .on_backend_down = (enum rule_on_down)conf_number(conf, "limit", name, "on_backend_down"),
        .deny_cache = conf_number(conf, "limit", name, "deny_cache"),
        .shadow = conf_number(conf, "limit", name, "shadow"),
        .local_share = (unsigned)conf_number(conf, "limit", name, "local_share"),
    };
}

/* The words of [limit] kind: those of enum rule_kind, then those of enum repair_kind. */
static int repair_kind_at(const struct conf *conf, const char *name)
{
    return (int)conf_number(conf, "limit", name, "kind") - (RULE_SEMAPHORE + 1);
}

static bool read_rules(struct settings *s, const struct conf *conf)
{
    size_t names = conf_names(conf, "limit"), n = 0;
    struct rule_spec *specs = calloc(names + 1, sizeof(*specs));

    if (!specs)
        return false;
    for (size_t i = 0; i < names; i++) {
        if (repair_kind_at(conf, conf_name_at(conf, "limit", i)) >= 0)
            continue;
        specs[n] = read_rule(conf, conf_name_at(conf, "limit", i));
        s->limiter.caches |= specs[n++].deny_cache;
    }
    s->rules = rule_table_new(specs, n);
    free(specs);
    return s->rules;
}

static bool is_script(const struct conf *conf, const char *name)
{
    return !strcmp(conf_string(conf, "limit", name, "kind"), "script");
}

static struct repair_rule read_repair(const struct conf *conf, const char *name)
{
    return (struct repair_rule){
        .name = name,
        .pattern = conf_string(conf, "limit", name, "match") + strlen("key:"),
        .monitors = conf_string(conf, "limit", name, "monitors"),
        .kind = (enum repair_kind)(1 << repair_kind_at(conf, name)),
        .mode = (enum repair_mode)conf_number(conf, "limit", name, "mode"),
        .late = (enum repair_late)conf_number(conf, "limit", name, "late"),
        .max = conf_number(conf, "limit", name, "max"),
        .ttl_ms = conf_number(conf, "limit", name, "ttl"),
        .shows = conf_number(conf, "limit", name, "scripts") && conf_number(conf, "limit", name, "mode"),
        .allow = conf_number(conf, "limit", name, "on_backend_down") == RULE_DOWN_ALLOW,
    };
}

static bool read_repairs(struct settings *s, const struct conf *conf)
{
    size_t names = conf_names(conf, "limit"), n = 0;
    struct repair_rule *rules = calloc(names + 1, sizeof(*rules));

    if (!rules)
        return false;
    for (size_t i = 0; i < names; i++) {
        if (repair_kind_at(conf, conf_name_at(conf, "limit", i)) < 0 || is_script(conf, conf_name_at(conf, "limit", i)))
            continue;
        rules[n] = read_repair(conf, conf_name_at(conf, "limit", i));
        s->limiter.calls.reservations |= rules[n].kind == REPAIR_ZSET && rules[n].mode == REPAIR_ENFORCE;
        s->enforces |= rules[n++].mode == REPAIR_ENFORCE;
    }
    s->repairs = repair_table_new(rules, n);
    s->shows = s->repairs && repair_table_shows(s->repairs);
    free(rules);
    s->repaired = calloc(command_count(), sizeof(*s->repaired));
    for (size_t i = 0; s->repairs && s->repaired && i < command_count(); i++)
        s->repaired[command_at(i)->index] = repair_may_concern(s->repairs, command_at(i));
    for (unsigned byte = 0; s->repairs && byte < 256; byte++)
        s->repaired_keys[byte] = repair_table_may_begin(s->repairs, (uint8_t)byte);
    return s->repairs && s->repaired;
}

static bool read_adoptions(struct settings *s, const struct conf *conf, char *error, size_t error_len)
{
    size_t names = conf_names(conf, "limit"), n = 0;
    struct adopt_spec *specs = calloc(names + 1, sizeof(*specs));
    struct adopt_mistake mistake;

    if (!specs)
        return false;
    for (size_t i = 0; i < names; i++) {
        const char *name = conf_name_at(conf, "limit", i);

        if (is_script(conf, name))
            specs[n++] = (struct adopt_spec){
                .name = name,
                .pattern = conf_string(conf, "limit", name, "match") + strlen("key:"),
                .adopt = conf_string(conf, "limit", name, "adopt"),
                .returns = conf_string(conf, "limit", name, "returns"),
                .allow = conf_number(conf, "limit", name, "on_backend_down") == RULE_DOWN_ALLOW,
            };
    }
    s->adoptions = adopt_table_new(specs, n, &mistake);
    if (!s->adoptions && mistake.text[0])
        snprintf(error, error_len, "%s: limit.%s.%s: %s",
                 conf_origin(conf, "limit", specs[mistake.rule].name, mistake.key), specs[mistake.rule].name,
                 mistake.key, mistake.text);
    free(specs);
    return s->adoptions;
}

/* Without a rule that keeps something beside a client's key all commands go as they come. */
static bool keeps_companions(const struct settings *s)
{
    if (adopt_table_count(s->adoptions))
        return true;
    for (size_t i = 0; i < rule_table_count(s->rules); i++)
        if (rule_at(s->rules, i)->kind == RULE_SEMAPHORE)
            return true;
    for (size_t i = 0; i < repair_table_count(s->repairs); i++)
        if (repair_table_at(s->repairs, i)->mode == REPAIR_ENFORCE &&
            repair_table_at(s->repairs, i)->kind != REPAIR_INCR)
            return true;
    return false;
}

static bool read_rewritten(struct settings *s)
{
    s->rewritten = calloc(command_count(), sizeof(*s->rewritten));
    for (size_t i = 0; s->rewritten && keeps_companions(s) && i < command_count(); i++) {
        const struct command *row = command_at(i);

        if (visible_concerns(row))
            s->rewritten[row->index] = REWRITE_VISIBLE;
        else if (row->id == CMD_EVAL || row->id == CMD_EVALSHA || row->id == CMD_SCRIPT_EXISTS)
            s->rewritten[row->index] = s->shows || adopt_table_count(s->adoptions) ? REWRITE_SCRIPT : REWRITE_NOTHING;
    }
    return s->rewritten;
}

bool settings_read_limiter(struct settings *s, const struct conf *conf, char *error, size_t error_len)
{
    struct limiter_settings *limiter = &s->limiter;

    limiter->calls.throttle_exact = conf_number(conf, "limiter", NULL, "throttle_exact");
    limiter->calls.ticket_ms = LIMITER_TICKET_MS;
    limiter->on_backend_down = (enum rule_on_down)conf_number(conf, "limiter", NULL, "on_backend_down");
    limiter->local_share = (unsigned)conf_number(conf, "limiter", NULL, "local_share");
    limiter->memory = (size_t)conf_number(conf, "limiter", NULL, "memory");
    return read_rules(s, conf) && read_repairs(s, conf) && read_adoptions(s, conf, error, error_len) &&
           read_rewritten(s);
}
