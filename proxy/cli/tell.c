/* What the log says of a configuration when it is taken up. */
#include "proxy/cli/tell.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "conf/conf.h"
#include "proxy/cli/cli.h"
#include "proxy/flow/settings.h"
#include "proxy/health/backend.h"
#include "proxy/net/log.h"
#include "proxy/net/tls.h"
#include "proxy/watch/build.h"

enum { SPARE_FDS = 32, STATS_FDS = 160 }; /* listeners, event loops, standard streams; the stats port's connections */

/* What the first line says of the backends: "docker=redis://127.0.0.1:6379/0 upstash=rediss://..." in their order. */
static char *list_backends(const struct settings *settings)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    for (unsigned i = 0; out && i < settings->n_backends; i++)
        fprintf(out, "%s%s=%s", i ? " " : "", settings->backends[i]->name, settings->backends[i]->redacted);
    if (out)
        fclose(out);
    return text;
}

void tell_start(const struct settings *settings)
{
    const struct conf *conf = settings->conf;
    char *backends = list_backends(settings);
    char libraries[160];

    log_write(LOG_INFO, "starting", LOG_TEXT("version", cli_build.version), LOG_TEXT("commit", cli_build.commit),
              LOG_TEXT("libraries", build_libraries(libraries, sizeof(libraries))), LOG_NUM("pid", getpid()),
              LOG_TEXT("config", conf_file(conf)), LOG_TEXT("digest", conf_digest(conf)),
              LOG_NUM("overrides", conf_overrides(conf)), LOG_TEXT("overridden", conf_overridden(conf)),
              LOG_TEXT("ignored_env", conf_ignored_env(conf)), LOG_TEXT("backends", backends ? backends : ""),
              LOG_TEXT("expect", conf_expect(conf)));
    free(backends);
}

/* Whoever turned verification off shall not forget it. */
void tell_trust(const struct settings *settings)
{
    for (unsigned i = 0; i < settings->n_backends; i++)
        if (settings->backends[i]->trust_level != TLS_VERIFY_FULL)
            log_write(LOG_WARN, "backend not verified", LOG_TEXT("backend", settings->backends[i]->name),
                      LOG_TEXT("reason", settings->backends[i]->trust_level == TLS_VERIFY_NONE
                                             ? "verify is none: whoever answers gets the password"
                                             : "verify is chain: any name in the certificate will do"));
}

/* A CI job that may end up on somebody's hosted Redis should at least know. */
void tell_ci(const struct settings *settings)
{
    const char *ci = getenv("CI");

    if (!ci || strcmp(ci, "true") != 0)
        return;
    for (unsigned i = 0; i < settings->n_backends; i++)
        if (!redis_url_is_local(&settings->backends[i]->url))
            log_write(LOG_WARN, "not a local backend", LOG_TEXT("backend", settings->backends[i]->name),
                      LOG_TEXT("url", settings->backends[i]->redacted),
                      LOG_TEXT("reason", "CI=true, and it is neither on this machine nor in a private network; "
                                         "--expect NAME keeps to the one you mean"));
}

void tell_lines(const char *event, const char *text)
{
    while (*text) {
        size_t len = strcspn(text, "\n");
        char line[512];

        snprintf(line, sizeof(line), "%.*s", (int)(len < sizeof(line) ? len : sizeof(line) - 1), text);
        log_write(LOG_WARN, event, LOG_TEXT("reason", line));
        text += len + (text[len] == '\n');
    }
}

/* Each client and each backend connection takes a descriptor; that there are too few is said now, not under load. */
void allow_descriptors(const struct settings *settings)
{
    rlim_t needed = (rlim_t)settings->max_clients + SPARE_FDS + STATS_FDS;
    struct rlimit limit;

    for (unsigned i = 0; i < settings->n_backends; i++)
        needed += (rlim_t)settings->backends[i]->max_connections * settings->workers;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur < needed)
        log_write(LOG_WARN, "few descriptors", LOG_NUM("limit", limit.rlim_cur), LOG_NUM("needed", needed),
                  LOG_TEXT("reason", "max_clients and max_connections could not all be served; raise LimitNOFILE"));
}

/* Settings that only a restart changes, as "listen.address listen.workers"; "" when none differ. */
void frozen_list(const struct conf *before, const struct conf *now, char *text, size_t len)
{
    static const struct {
        const char *key;
        bool is_number;
    } frozen[] = {{"address", false}, {"unix_socket", false}, {"unix_socket_mode", false},
                  {"auth", false},    {"script_cache", true}, {"workers", true}};
    static const char *const frozen_stats[] = {"address", "unix_socket"};
    size_t used = 0;

    text[0] = 0;
    for (size_t i = 0; i < sizeof(frozen) / sizeof(frozen[0]); i++) {
        const char *key = frozen[i].key;
        bool same = frozen[i].is_number
                        ? conf_number(before, "listen", NULL, key) == conf_number(now, "listen", NULL, key)
                        : !strcmp(conf_string(before, "listen", NULL, key), conf_string(now, "listen", NULL, key));
        if (!same)
            used += (size_t)snprintf(text + used, len - used, "%slisten.%s", used ? " " : "", key);
    }
    for (size_t i = 0; i < sizeof(frozen_stats) / sizeof(frozen_stats[0]); i++) {
        const char *key = frozen_stats[i];
        if (strcmp(conf_string(before, "stats", NULL, key), conf_string(now, "stats", NULL, key)) != 0)
            used += (size_t)snprintf(text + used, len - used, "%sstats.%s", used ? " " : "", key);
    }
}
