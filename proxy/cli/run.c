/*
 * respgate run: the main thread. It reads the configuration, starts the workers, then waits for signals:
 *
 *   SIGTERM, SIGINT   drain: stop accepting, finish what is in flight; a second one ends at once
 *   SIGQUIT           end at once
 *   SIGHUP            said to be ignored
 */
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "conf/conf.h"
#include "proxy/cli/cli.h"
#include "proxy/flow/settings.h"
#include "proxy/flow/worker.h"
#include "proxy/health/backend.h"
#include "proxy/net/log.h"

enum { N_EVENTS = 5 };

enum { SPARE_FDS = 32 }; /* listeners, event loops, standard streams */

struct process {
    struct event_base *base;
    struct event *events[N_EVENTS];
    struct crew crew;
    bool draining;
};

static void log_start(const struct conf *conf, const struct settings *settings)
{
    char libraries[160];

    log_write(LOG_INFO, "starting", LOG_TEXT("version", RESPGATE_VERSION),
              LOG_TEXT("libraries", cli_libraries(libraries, sizeof(libraries))), LOG_NUM("pid", getpid()),
              LOG_TEXT("config", conf_file(conf)), LOG_TEXT("digest", conf_digest(conf)),
              LOG_NUM("overrides", conf_overrides(conf)), LOG_TEXT("overridden", conf_overridden(conf)),
              LOG_TEXT("ignored_env", conf_ignored_env(conf)), LOG_TEXT("backend", settings->backend->name),
              LOG_TEXT("url", settings->backend->redacted));
}

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
    (void)signal_number, (void)what, (void)arg;
    log_write(LOG_WARN, "signal ignored", LOG_TEXT("signal", "SIGHUP"),
              LOG_TEXT("reason", "the configuration is read at start only"));
}

static void on_done(evutil_socket_t fd, short what, void *arg)
{
    struct process *process = arg;
    (void)fd;
    (void)what;
    event_base_loopbreak(process->base);
}

static void watch(struct process *process)
{
    static const int stops[] = {SIGTERM, SIGINT, SIGQUIT};
    struct event **event = process->events;

    for (int i = 0; i < 3; i++)
        *event++ = evsignal_new(process->base, stops[i], on_stop, process);
    *event++ = evsignal_new(process->base, SIGHUP, on_reload, process);
    *event++ = event_new(process->base, process->crew.done_fd, EV_READ, on_done, process);
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
    struct resolver *resolver = resolver_start(process->crew.settings->backend, process->base);
    bool started;

    /* Before anybody can see that it listens and send a signal. */
    watch(process);
    started = start_workers(process);
    if (started)
        event_base_dispatch(process->base);
    else
        crew_drain(&process->crew, true);
    resolver_stop(resolver);
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
    rlim_t needed = (rlim_t)settings->max_clients + (rlim_t)settings->max_connections * settings->workers + SPARE_FDS;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit))
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur < needed)
        log_write(LOG_WARN, "few descriptors", LOG_NUM("limit", limit.rlim_cur), LOG_NUM("needed", needed),
                  LOG_TEXT("reason", "max_clients and max_connections could not all be served; raise LimitNOFILE"));
}

static int serve(const struct settings *settings)
{
    struct process process = {.base = event_base_new()};
    int code = EXIT_FAILED;

    if (!process.base)
        return code;
    if (crew_init(&process.crew, settings))
        code = run_crew(&process);
    crew_finish(&process.crew);
    event_base_free(process.base);
    return code == EXIT_FINE && atomic_load(&process.crew.drain_forced) ? EXIT_TIMED_OUT : code;
}

int cli_run(const struct cli_options *options)
{
    struct settings settings;
    struct conf *conf = cli_load(options);
    char error[256];
    int code;

    if (!conf)
        return EXIT_BAD_CONFIG;
    log_setup((enum log_level)conf_number(conf, "log", NULL, "level"), conf_number(conf, "log", NULL, "format"));
    signal(SIGPIPE, SIG_IGN);
    if (settings_init(&settings, conf, error, sizeof(error))) {
        log_start(conf, &settings);
        allow_descriptors(&settings);
        code = serve(&settings);
    } else {
        fprintf(stderr, "%s\n", error);
        code = EXIT_BAD_CONFIG;
    }
    settings_finish(&settings);
    conf_free(conf);
    return code;
}
