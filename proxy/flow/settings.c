#include "proxy/flow/settings.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/conf.h"
#include "protocol/command.h"
#include "proxy/health/backend.h"

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

static void read_backend(struct settings *s, const struct conf *conf, const char *name)
{
    s->connections = (unsigned)conf_number(conf, "backend", name, "connections");
    s->max_connections = (unsigned)conf_number(conf, "backend", name, "max_connections");
    s->connect_timeout_ms = (uint64_t)conf_number(conf, "backend", name, "connect_timeout");
    s->command_timeout_ms = (uint64_t)conf_number(conf, "backend", name, "command_timeout");
    s->lane_idle_timeout_ms = (uint64_t)conf_number(conf, "backend", name, "idle_timeout");
    s->queue_timeout_ms = number(conf, "fallback", "queue_timeout");
    s->close_on_unknown = number(conf, "fallback", "on_unknown");
}

static void add_user(struct settings *s, const char *name, const char *password)
{
    struct user *users = realloc(s->users, (s->n_users + 1) * sizeof(*users));

    if (!users)
        return;
    s->users = users;
    users[s->n_users].name = strdup(name);
    SHA256((const unsigned char *)password, strlen(password), users[s->n_users].digest);
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
static bool refuse(struct settings *s, const char *word, size_t len)
{
    bool found = false;

    for (size_t i = 0; i < command_count(); i++) {
        if (!name_is(word, len, command_at(i)))
            continue;
        s->refused[command_at(i)->index] = true;
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
        if (len && !refuse(s, names, len)) {
            snprintf(error, error_len, "%s: listen.refuse_commands: no such command: %.*s",
                     conf_origin(conf, "listen", NULL, "refuse_commands"), (int)(len < 64 ? len : 64), names);
            return false;
        }
    }
    return true;
}

/* The restrictions of this version: one backend, in plain. */
static bool read_url(struct settings *s, const struct conf *conf, char *error, size_t error_len)
{
    const char *name = conf_name_at(conf, "backend", 0);

    if (conf_names(conf, "backend") > 1) {
        snprintf(error, error_len, "%s: backend.%s.url: this version takes one backend, and there is [backend %s]",
                 conf_origin(conf, "backend", conf_name_at(conf, "backend", 1), "url"),
                 conf_name_at(conf, "backend", 1), name);
        return false;
    }
    s->backend = backend_new(name, conf_string(conf, "backend", name, "url"));
    if (s->backend && s->backend->url.tls) {
        snprintf(error, error_len, "%s: backend.%s.url: this version has no TLS: use redis:// or unix://",
                 conf_origin(conf, "backend", name, "url"), name);
        return false;
    }
    return s->backend;
}

bool settings_init(struct settings *settings, const struct conf *conf, char *error, size_t error_len)
{
    memset(settings, 0, sizeof(*settings));
    snprintf(error, error_len, "out of memory");
    read_listen(settings, conf);
    read_backend(settings, conf, conf_name_at(conf, "backend", 0));
    return read_users(settings, conf, error, error_len) && read_refused(settings, conf, error, error_len) &&
           read_url(settings, conf, error, error_len);
}

void settings_finish(struct settings *settings)
{
    for (size_t i = 0; i < settings->n_users; i++)
        free(settings->users[i].name);
    free(settings->users);
    free(settings->refused);
    backend_free(settings->backend);
}
