#include "proxy/flow/settings.h"
#include "proxy/flow/digest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/conf.h"
#include "protocol/command.h"
#include "proxy/flow/limit_book.h"
#include "proxy/flow/repair_book.h"
#include "proxy/flow/request_class.h"
#include "proxy/flow/settings_limits.h"
#include "proxy/health/backend.h"
#include "proxy/health/configure.h"
#include "proxy/net/log.h"

static uint64_t number(const struct conf *conf, const char *section, const char *key)
{
    return (uint64_t)conf_number(conf, section, NULL, key);
}

static void read_listen(struct settings *s, const struct conf *conf)
{
    s->listen_address = conf_string(conf, "listen", NULL, "address");
    s->unix_socket = conf_string(conf, "listen", NULL, "unix_socket");
    s->unix_socket_mode = (unsigned)number(conf, "listen", "unix_socket_mode");
    s->workers = (unsigned)number(conf, "listen", "workers");
    s->max_clients = (unsigned)number(conf, "listen", "max_clients");
    s->auth = (enum auth_mode)number(conf, "listen", "auth");
    s->login_timeout_ms = number(conf, "listen", "login_timeout");
    s->idle_timeout_ms = number(conf, "listen", "idle_timeout");
    s->drain_timeout_ms = number(conf, "listen", "drain_timeout");
    s->limits.max_bulk = number(conf, "listen", "max_bulk");
    s->limits.max_args = (uint32_t)number(conf, "listen", "max_args");
    s->limits.authenticated = true;
    s->query_buffer = number(conf, "listen", "query_buffer");
    s->stream_threshold = number(conf, "listen", "stream_threshold");
    s->reply_buffer = number(conf, "listen", "reply_buffer");
    s->reply_buffer_max = number(conf, "listen", "reply_buffer_max");
    s->slow_client_timeout_ms = number(conf, "listen", "slow_client_timeout");
    s->pipeline_depth = (unsigned)number(conf, "listen", "pipeline_depth");
    s->script_cache = number(conf, "listen", "script_cache");
}

static void read_fallback(struct settings *s, const struct conf *conf)
{
    s->queue_timeout_ms = number(conf, "fallback", "queue_timeout");
    s->close_on_unknown = number(conf, "fallback", "on_unknown");
    s->on_dataset_change = (enum dataset_change)number(conf, "fallback", "on_dataset_change");
    s->wait_when_all_down = !strcmp(conf_string(conf, "fallback", NULL, "when_all_down"), "wait");
    s->hang_threshold_ms = number(conf, "health", "hang_threshold");
    s->slow_us = number(conf, "stats", "slowlog") ? (uint32_t)number(conf, "stats", "slowlog") * 1000 : UINT32_MAX;
}

/* What was counted of a limit that stays is not lost. */
static bool make_book(struct settings *s, const struct settings *before)
{
    s->limit_book = limit_book_new(s->rules, s->repairs, s->adoptions, s->workers, before ? before->limit_book : NULL);
    return s->limit_book;
}

static void add_user(struct settings *s, const char *name, const char *password)
{
    struct user *users = realloc(s->users, (s->n_users + 1) * sizeof(*users));

    if (!users)
        end_out_of_memory((s->n_users + 1) * sizeof(*users));
    s->users = users;
    users[s->n_users].name = strdup(name);
    if (!users[s->n_users].name)
        end_out_of_memory(strlen(name) + 1);
    digest_sha256(password, strlen(password), users[s->n_users].digest);
    s->n_users++;
}

static bool read_users(struct settings *s, const struct conf *conf, char *error, size_t error_len)
{
    const char *password = conf_string(conf, "listen", NULL, "password");

    if (password[0])
        add_user(s, "default", password);
    for (size_t i = 0; i < conf_names(conf, "user"); i++) {
        const char *name = conf_name_at(conf, "user", i);
        add_user(s, name, conf_string(conf, "user", name, "password"));
    }
    if (s->auth != AUTH_PASSWORD || s->n_users)
        return true;
    snprintf(error, error_len,
             "%s: listen.auth: password needs a password: set listen.password or a [user NAME] section",
             conf_origin(conf, "listen", NULL, "auth"));
    return false;
}

static bool name_is(const char *word, size_t len, const struct command *row)
{
    const char *bar = memchr(word, '|', len);
    size_t name_len = bar ? (size_t)(bar - word) : len;

    if (name_len != row->name_len || strncasecmp(word, row->name, name_len) != 0)
        return false;
    if (!bar)
        return true;
    size_t sub_len = len - name_len - 1;
    return row->subcommand && sub_len == row->subcommand_len && !strncasecmp(bar + 1, row->subcommand, sub_len);
}

/* A container's name alone means all of its subcommands. False when there is no such command. */
static bool mark(bool *marks, const char *word, size_t len)
{
    bool found = false;

    for (size_t i = 0; i < command_count(); i++) {
        if (!name_is(word, len, command_at(i)))
            continue;
        marks[command_at(i)->index] = true;
        found = true;
    }
    return found;
}

static bool read_refused(struct settings *s, const struct conf *conf, char *error, size_t error_len)
{
    const char *names = conf_string(conf, "listen", NULL, "refuse_commands");
    size_t len;

    s->refused = calloc(command_count(), sizeof(*s->refused));
    if (!s->refused)
        return false;
    for (size_t i = 0; !strcmp(names, "default") && i < command_count(); i++)
        s->refused[command_at(i)->index] = command_at(i)->cls == COMMAND_REFUSE;
    if (!strcmp(names, "default") || !strcmp(names, "none"))
        return true;
    for (; *names; names += len) {
        names += strspn(names, " \t");
        len = strcspn(names, " \t");
        if (len && !mark(s->refused, names, len)) {
            snprintf(error, error_len, "%s: listen.refuse_commands: no such command: %.*s",
                     conf_origin(conf, "listen", NULL, "refuse_commands"), (int)(len < 64 ? len : 64), names);
            return false;
        }
    }
    return true;
}

/* Upstash documentation, pricing: these are not counted. */
static bool read_unbilled(struct settings *s)
{
    static const char *const names[] = {"AUTH", "HELLO", "SELECT", "COMMAND", "CONFIG",
                                        "INFO", "PING",  "RESET",  "QUIT"};

    s->unbilled = calloc(command_count(), sizeof(*s->unbilled));
    for (size_t i = 0; s->unbilled && i < sizeof(names) / sizeof(names[0]); i++)
        mark(s->unbilled, names[i], strlen(names[i]));
    return s->unbilled;
}

static bool read_classes(struct settings *s)
{
    s->classes = calloc(command_count(), sizeof(*s->classes));
    for (size_t i = 0; s->classes && i < command_count(); i++)
        s->classes[command_at(i)->index] = (uint8_t)request_class_of(command_at(i));
    return s->classes;
}

static bool read_backends(struct settings *s, const struct settings *before, char *error, size_t error_len)
{
    size_t n = conf_names(s->conf, "backend");

    if (n > BACKENDS_MAX) {
        snprintf(error, error_len, "backend: there are %zu of them, at most %d are allowed", n, BACKENDS_MAX);
        return false;
    }
    for (; s->n_backends < n; s->n_backends++) {
        struct backend *backend =
            backend_configure(s->conf, conf_name_at(s->conf, "backend", s->n_backends), error, error_len);
        unsigned at = s->n_backends;

        if (!backend)
            return false;
        backend->clients_log_in = s->auth == AUTH_BACKEND;
        for (unsigned i = 0; before && i < before->n_backends; i++)
            backend = backend_unchanged(before->backends[i], backend);
        for (; at && s->backends[at - 1]->priority > backend->priority; at--)
            s->backends[at] = s->backends[at - 1];
        s->backends[at] = backend;
    }
    return true;
}

static bool open_book(struct settings *s, const struct settings *before)
{
    if (repair_table_count(s->repairs) == 0)
        return true;
    s->repair_book = repair_book_new(s->repairs, s->limiter.memory, before ? before->repair_book : NULL);
    return s->repair_book;
}

struct settings *settings_new(struct conf *conf, const struct settings *before, char *error, size_t error_len)
{
    struct settings *settings = calloc(1, sizeof(*settings));

    snprintf(error, error_len, "out of memory");
    if (!settings)
        return NULL;
    atomic_init(&settings->refs, 1);
    settings->conf = conf;
    read_listen(settings, conf);
    read_fallback(settings, conf);
    if (read_users(settings, conf, error, error_len) && read_refused(settings, conf, error, error_len) &&
        read_unbilled(settings) && read_classes(settings) && settings_read_limiter(settings, conf, error, error_len) &&
        make_book(settings, before) && open_book(settings, before) && read_backends(settings, before, error, error_len))
        return settings;
    settings->conf = NULL;
    settings_unref(settings);
    return NULL;
}

struct settings *settings_ref(struct settings *settings)
{
    atomic_fetch_add_explicit(&settings->refs, 1, memory_order_relaxed);
    return settings;
}

void settings_unref(struct settings *settings)
{
    if (!settings || atomic_fetch_sub(&settings->refs, 1) > 1)
        return;
    for (size_t i = 0; i < settings->n_users; i++)
        free(settings->users[i].name);
    for (unsigned i = 0; i < settings->n_backends; i++)
        backend_unref(settings->backends[i]);
    free(settings->users);
    free(settings->refused);
    free(settings->unbilled);
    limit_book_free(settings->limit_book);
    rule_table_free(settings->rules);
    repair_book_free(settings->repair_book);
    repair_table_free(settings->repairs);
    adopt_table_free(settings->adoptions);
    free(settings->repaired);
    free(settings->rewritten);
    free(settings->classes);
    if (settings->conf)
        conf_free(settings->conf);
    free(settings);
}
