/*
 * respgate run: the main thread. It reads the configuration, starts the workers, then waits for signals:
 *
 *   SIGTERM, SIGINT   drain: stop accepting, finish what is in flight; a second one ends at once
 *   SIGQUIT           end at once
 *   SIGHUP            read the configuration again: all of it is taken up, or nothing and the log says why
 *
 * The main thread also is health's: it checks the backends, chooses, and hands each choice to the workers.
 */
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "conf/conf.h"
#include "proxy/cli/cli.h"
#include "proxy/flow/settings.h"
#include "proxy/flow/worker.h"
#include "proxy/health/backend.h"
#include "proxy/health/monitor.h"
#include "proxy/health/snapshot.h"
#include "proxy/net/log.h"
#include "proxy/net/loop.h"
#include "proxy/net/tls.h"

enum { N_EVENTS = 5 };

enum { SPARE_FDS = 32 }; /* listeners, event loops, standard streams */

struct process {
    const struct cli_options *options;
    struct loop loop;
    struct event *events[N_EVENTS];
    struct crew crew;
    struct monitor *monitor;
    struct settings *settings; /* the latest */
    struct settings *fresh;    /* to be handed to the workers with the next route; NULL: they have the latest */
    bool draining;
};

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

static void log_start(const struct settings *settings)
{
    const struct conf *conf = settings->conf;
    char *backends = list_backends(settings);
    char libraries[160];

    log_write(LOG_INFO, "starting", LOG_TEXT("version", RESPGATE_VERSION),
              LOG_TEXT("libraries", cli_libraries(libraries, sizeof(libraries))), LOG_NUM("pid", getpid()),
              LOG_TEXT("config", conf_file(conf)), LOG_TEXT("digest", conf_digest(conf)),
              LOG_NUM("overrides", conf_overrides(conf)), LOG_TEXT("overridden", conf_overridden(conf)),
              LOG_TEXT("ignored_env", conf_ignored_env(conf)), LOG_TEXT("backends", backends ? backends : ""),
              LOG_TEXT("expect", conf_expect(conf)));
    free(backends);
}

/* Whoever turned verification off shall not forget it. */
static void warn_of_trust(const struct settings *settings)
{
    for (unsigned i = 0; i < settings->n_backends; i++)
        if (settings->backends[i]->trust_level != TLS_VERIFY_FULL)
            log_write(LOG_WARN, "backend not verified", LOG_TEXT("backend", settings->backends[i]->name),
                      LOG_TEXT("reason", settings->backends[i]->trust_level == TLS_VERIFY_NONE
                                             ? "verify is none: whoever answers gets the password"
                                             : "verify is chain: any name in the certificate will do"));
}

/* A CI job that may end up on somebody's hosted Redis should at least know. */
static void warn_of_ci(const struct settings *settings)
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

static void log_lines(const char *event, const char *text)
{
    while (*text) {
        size_t len = strcspn(text, "\n");
        char line[512];

        snprintf(line, sizeof(line), "%.*s", (int)(len < sizeof(line) ? len : sizeof(line) - 1), text);
        log_write(LOG_WARN, event, LOG_TEXT("reason", line));
        text += len + (text[len] == '\n');
    }
}

/* --- routes --- */

static void on_route(void *arg, struct snapshot *snapshot)
{
    struct process *process = arg;

    crew_route(&process->crew, snapshot, process->fresh);
    process->fresh = NULL;
}

/* --- reload --- */

/* Settings that only a restart changes, as "listen.address listen.workers"; "" when none differ. */
static void list_frozen(const struct conf *before, const struct conf *now, char *text, size_t len)
{
    static const struct {
        const char *key;
        bool is_number;
    } frozen[] = {{"address", false}, {"unix_socket", false}, {"unix_socket_mode", false},
                  {"auth", false},    {"script_cache", true}, {"workers", true}};
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
}

static void take_settings(struct process *process, struct settings *fresh)
{
    struct settings *before = process->settings;
    struct monitor_rules rules;

    log_setup((enum log_level)conf_number(fresh->conf, "log", NULL, "level"),
              conf_number(fresh->conf, "log", NULL, "format"));
    monitor_rules_read(&rules, fresh->conf);
    process->settings = process->fresh = fresh;
    monitor_configure(process->monitor, &rules, fresh->backends, fresh->n_backends);
    settings_unref(before);
}

static void refuse_reload(const char *reasons)
{
    log_lines("configuration not reloaded", reasons);
}

static void reload(struct process *process)
{
    char *errors = NULL, error[512], frozen[128];
    struct conf *conf = cli_load_conf(process->options, &errors);
    struct settings *fresh;

    if (!conf) {
        refuse_reload(errors ? errors : "out of memory");
        free(errors);
        return;
    }
    list_frozen(process->settings->conf, conf, frozen, sizeof(frozen));
    fresh = frozen[0] ? NULL : settings_new(conf, process->settings, error, sizeof(error));
    if (!fresh) {
        if (frozen[0])
            snprintf(error, sizeof(error), "%s: only a restart changes that, so nothing was changed", frozen);
        refuse_reload(error);
        conf_free(conf);
        return;
    }
    log_lines("configuration", conf_warnings(conf));
    warn_of_trust(fresh);
    take_settings(process, fresh);
    log_write(LOG_INFO, "configuration reloaded", LOG_TEXT("digest", conf_digest(fresh->conf)),
              LOG_NUM("overrides", conf_overrides(fresh->conf)));
}

/* --- signals --- */

static void on_stop(evutil_socket_t signal_number, short what, void *arg)
{
    struct process *process = arg;
    bool now = process->draining || signal_number == SIGQUIT;

    (void)what;
    log_write(LOG_INFO, now ? "ending at once" : "draining",
              LOG_TEXT("signal", signal_number == SIGTERM  ? "SIGTERM"
                                 : signal_number == SIGINT ? "SIGINT"
                                                           : "SIGQUIT"));
    process->draining = true;
    crew_drain(&process->crew, now);
}

static void on_reload(evutil_socket_t signal_number, short what, void *arg)
{
    (void)signal_number, (void)what;
    reload(arg);
}

static void on_done(evutil_socket_t fd, short what, void *arg)
{
    struct process *process = arg;
    (void)fd;
    (void)what;
    process->loop.stop = true;
}

static void watch(struct process *process)
{
    static const int stops[] = {SIGTERM, SIGINT, SIGQUIT};
    struct event **event = process->events;

    for (int i = 0; i < 3; i++)
        *event++ = evsignal_new(process->loop.base, stops[i], on_stop, process);
    *event++ = evsignal_new(process->loop.base, SIGHUP, on_reload, process);
    *event++ = event_new(process->loop.base, process->crew.done_fd, EV_READ, on_done, process);
    for (int i = 0; i < N_EVENTS; i++)
        event_add(process->events[i], NULL);
}

/* Signals go to the main thread; workers inherit the mask. */
static bool start_workers(struct process *process)
{
    sigset_t all, before;
    bool ok;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    ok = crew_start(&process->crew);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return ok;
}

static int run_crew(struct process *process)
{
    sigset_t all;
    bool started;

    /* Before anybody can see that it listens and send a signal. */
    watch(process);
    started = start_workers(process);
    if (started) {
        take_settings(process, settings_ref(process->settings));
        loop_run(&process->loop);
    } else {
        crew_drain(&process->crew, true);
    }
    /* A signal that comes after the end must not cost the exit code and the ledger. */
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    for (int i = 0; i < N_EVENTS; i++)
        event_free(process->events[i]);
    return started ? EXIT_FINE : EXIT_FAILED;
}

/* Each client and each backend connection takes a descriptor; that there are too few is said now, not under load. */
static void allow_descriptors(const struct settings *settings)
{
    rlim_t needed = (rlim_t)settings->max_clients + SPARE_FDS;
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

/* Takes over the reference to `settings`. */
static int serve(const struct cli_options *options, struct settings *settings)
{
    struct process process = {.options = options, .settings = settings};
    int code = EXIT_FAILED;

    if (!loop_init(&process.loop))
        return code;
    process.monitor = monitor_new(&process.loop, on_route, &process);
    if (process.monitor) {
        if (crew_init(&process.crew, settings))
            code = run_crew(&process);
        crew_finish(&process.crew);
    }
    monitor_free(process.monitor);                       /* after the workers, which give it hints */
    event_base_loop(process.loop.base, EVLOOP_NONBLOCK); /* what is cancelled is still told */
    settings_unref(process.settings);
    loop_finish(&process.loop);
    return code == EXIT_FINE && atomic_load(&process.crew.drain_forced) ? EXIT_TIMED_OUT : code;
}

int cli_run(const struct cli_options *options)
{
    struct conf *conf = cli_load(options);
    struct settings *settings;
    char error[512];

    if (!conf)
        return EXIT_BAD_CONFIG;
    log_setup((enum log_level)conf_number(conf, "log", NULL, "level"), conf_number(conf, "log", NULL, "format"));
    settings = settings_new(conf, NULL, error, sizeof(error));
    if (!settings) {
        fprintf(stderr, "%s\n", error);
        conf_free(conf);
        return EXIT_BAD_CONFIG;
    }
    log_start(settings);
    log_lines("configuration", conf_warnings(conf));
    warn_of_trust(settings);
    warn_of_ci(settings);
    allow_descriptors(settings);
    return serve(options, settings);
}
