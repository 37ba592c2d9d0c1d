#include "proxy/health/configure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/address.h"
#include "conf/conf.h"
#include "proxy/health/backend.h"
#include "proxy/health/monitor.h"
#include "proxy/net/log.h"
#include "proxy/net/tls.h"

enum { QUIET_MS = 3600 * 1000 };

/* What [backend NAME] leaves open is what [tls] says; the configuration sees to that. */
static void read_tls(struct tls_settings *settings, const struct backend *backend, const struct conf *conf)
{
    const char *name = backend->name;

    settings->host = backend->url.host;
    settings->ca_file = conf_string(conf, "backend", name, "ca_file");
    settings->cert_file = conf_string(conf, "backend", name, "cert_file");
    settings->key_file = conf_string(conf, "backend", name, "key_file");
    settings->verify = (enum tls_verify)conf_number(conf, "backend", name, "verify");
    settings->min_version = !strcmp(conf_string(conf, "backend", name, "min_version"), "1.3") ? 13 : 12;
}

static bool configure_tls(struct backend *backend, const struct conf *conf, char *error, size_t error_len)
{
    struct tls_settings settings;
    struct tls_context *tls;
    char why[256];

    if (!backend->url.tls)
        return true;
    read_tls(&settings, backend, conf);
    backend->trust_level = settings.verify;
    tls = tls_context_new(&settings, why, sizeof(why));
    if (!tls) {
        snprintf(error, error_len, "%s: backend.%s: %s", conf_origin(conf, "backend", backend->name, "url"),
                 backend->name, why);
        return false;
    }
    backend_set_tls(backend, tls);
    return true;
}

/* FNV-1a over the bytes and their number, so that neighbours do not run into each other. */
static void add_bytes(uint64_t *digest, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;

    for (size_t i = 0; i < len; i++)
        *digest = (*digest ^ at[i]) * UINT64_C(1099511628211);
    *digest = (*digest ^ len) * UINT64_C(1099511628211);
}

static void add_text(uint64_t *digest, const char *text)
{
    add_bytes(digest, text, strlen(text));
}

static void add_number(uint64_t *digest, uint64_t number)
{
    add_bytes(digest, &number, sizeof(number));
}

/* The password too: a changed one is a change. */
static uint64_t digest_of(const struct backend *backend, const struct conf *conf)
{
    uint64_t digest = UINT64_C(14695981039346656037);
    struct tls_settings tls;

    add_text(&digest, conf_string(conf, "backend", backend->name, "url"));
    add_text(&digest, backend->dataset);
    add_number(&digest, backend->labelled);
    add_number(&digest, backend->metered);
    add_number(&digest, backend->dialect);
    add_number(&digest, backend->connections);
    add_number(&digest, backend->max_connections);
    add_number(&digest, backend->connect_timeout_ms);
    add_number(&digest, backend->command_timeout_ms);
    add_number(&digest, backend->idle_timeout_ms);
    if (!backend->url.tls)
        return digest;
    read_tls(&tls, backend, conf);
    add_text(&digest, tls.ca_file);
    add_text(&digest, tls.cert_file);
    add_text(&digest, tls.key_file);
    add_number(&digest, tls.verify);
    add_number(&digest, tls.min_version);
    return digest;
}

static enum limit_dialect dialect_of(const struct backend *backend, const struct conf *conf)
{
    const char *word = conf_string(conf, "backend", backend->name, "dialect");

    if (strcmp(word, "auto") != 0)
        return strcmp(word, "upstash") != 0 ? DIALECT_PLAIN : DIALECT_UPSTASH;
    return !backend->url.is_unix && host_is_under(backend->url.host, "upstash.io") ? DIALECT_UPSTASH : DIALECT_PLAIN;
}

static void configure_limits(struct backend *backend, const struct conf *conf)
{
    const char *name = backend->name;

    atomic_init(&backend->priority, (unsigned)conf_number(conf, "backend", name, "priority"));
    backend->metered = conf_number(conf, "backend", name, "metered");
    backend->dialect = dialect_of(backend, conf);
    backend->connections = (unsigned)conf_number(conf, "backend", name, "connections");
    backend->max_connections = (unsigned)conf_number(conf, "backend", name, "max_connections");
    backend->connect_timeout_ms = (uint64_t)conf_number(conf, "backend", name, "connect_timeout");
    backend->command_timeout_ms = (uint64_t)conf_number(conf, "backend", name, "command_timeout");
    backend->idle_timeout_ms = (uint64_t)conf_number(conf, "backend", name, "idle_timeout");
}

struct backend *backend_configure(const struct conf *conf, const char *name, char *error, size_t error_len)
{
    struct backend *backend = backend_new(name, conf_string(conf, "backend", name, "url"));
    const char *dataset = conf_string(conf, "backend", name, "dataset");

    snprintf(error, error_len, "out of memory");
    if (!backend)
        return NULL;
    backend->labelled = dataset[0];
    backend->dataset = strdup(backend->labelled ? dataset : name);
    if (!backend->dataset)
        end_out_of_memory(strlen(name) + 1);
    configure_limits(backend, conf);
    backend->digest = digest_of(backend, conf);
    if (configure_tls(backend, conf, error, error_len))
        return backend;
    backend_unref(backend);
    return NULL;
}

struct backend *backend_unchanged(struct backend *known, struct backend *fresh)
{
    if (strcmp(known->name, fresh->name) != 0 || known->digest != fresh->digest || known == fresh)
        return fresh;
    atomic_store(&known->priority, atomic_load(&fresh->priority));
    if (fresh->tls) /* the files may say something else by now */
        backend_set_tls(known, backend_tls(fresh));
    backend_unref(fresh);
    return backend_ref(known);
}

void monitor_rules_read(struct monitor_rules *rules, const struct conf *conf)
{
    *rules = (struct monitor_rules){
        .health = {.fall = (unsigned)conf_number(conf, "health", NULL, "fall"),
                   .rise = (unsigned)conf_number(conf, "health", NULL, "rise"),
                   .interval_ms = (uint32_t)conf_number(conf, "health", NULL, "interval"),
                   .fast_interval_ms = (uint32_t)conf_number(conf, "health", NULL, "fast_interval")},
        .hold = {.hold_ms = (uint64_t)conf_number(conf, "fallback", NULL, "failback_hold"),
                 .hold_max_ms = (uint64_t)conf_number(conf, "fallback", NULL, "failback_hold_max"),
                 .quiet_ms = QUIET_MS},
        .timeout_ms = (uint32_t)conf_number(conf, "health", NULL, "timeout"),
        .metered_interval_ms = (uint32_t)conf_number(conf, "health", NULL, "metered_interval"),
        .cert_interval_ms = (uint32_t)conf_number(conf, "health", NULL, "cert_interval"),
        .start_grace_ms = (uint32_t)conf_number(conf, "health", NULL, "start_grace"),
        .seed = (uint64_t)conf_number(conf, "health", NULL, "seed"),
        .failback = (enum failback)conf_number(conf, "fallback", NULL, "failback"),
        .require_first = !strcmp(conf_string(conf, "fallback", NULL, "require"), "primary"),
        .expected = conf_expect(conf),
    };
}
