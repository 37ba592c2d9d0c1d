/*
 * respgate run: the main thread. It reads the configuration, starts the workers, then waits for signals:
 *
 *   SIGTERM, SIGINT   drain: stop accepting, finish what is in flight; a second one ends at once
 *   SIGQUIT           end at once
 *   SIGHUP            read the configuration again: all of it is taken up, or nothing and the log says why
 *
 * The main thread also is health's: it checks the backends, chooses, and hands each choice to the workers.
 */
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/conf.h"
#include "proxy/cli/cli.h"
#include "proxy/cli/tell.h"
#include "proxy/flow/digest.h"
#include "proxy/flow/settings.h"
#include "proxy/flow/worker.h"
#include "proxy/health/backend.h"
#include "proxy/health/journal.h"
#include "proxy/health/monitor.h"
#include "proxy/health/snapshot.h"
#include "proxy/net/confine.h"
#include "proxy/net/log.h"
#include "proxy/net/loop.h"
#include "proxy/watch/history.h"
#include "proxy/watch/http.h"
#include "proxy/watch/orders.h"
#include "proxy/watch/scene.h"
#include "proxy/watch/service.h"

enum { N_EVENTS = 5 };

struct process {
    const struct cli_options *options;
    struct loop loop;
    struct event *events[N_EVENTS];
    struct crew crew;
    struct monitor *monitor;
    struct settings *fresh; /* to be handed to the workers with the next route; NULL: they have the latest */
    struct scene scene;
    struct orders orders;
    struct http *http; /* NULL: no stats port */
    struct service service;
};

/* --- routes --- */

static void on_route(void *arg, struct snapshot *snapshot)
{
    struct process *process = arg;

    crew_route(&process->crew, snapshot, process->fresh);
    process->fresh = NULL;
    scene_note_route(&process->scene, snapshot);
    service_note_route(&process->service);
}

/* --- reload --- */

static void take_settings(struct process *process, struct settings *fresh)
{
    struct settings *before = process->scene.settings;
    struct monitor_rules rules;

    log_setup((enum log_level)conf_number(fresh->conf, "log", NULL, "level"),
              conf_number(fresh->conf, "log", NULL, "format"));
    monitor_rules_read(&rules, fresh->conf);
    process->scene.settings = process->fresh = fresh;
    monitor_configure(process->monitor, &rules, fresh->backends, fresh->n_backends);
    settings_unref(before);
}

static void refuse_reload(struct process *process, const char *reasons)
{
    tell_lines("configuration not reloaded", reasons);
    journal_write(process->scene.journal, LOG_WARN, "reload refused", LOG_TEXT("reason", reasons));
    process->scene.failed_reloads++;
}

/* `reason` says why it was refused; "" when it was taken up. */
static void read_again(struct process *process, char reason[ORDER_REASON_LEN])
{
    char *errors = NULL, frozen[192];
    struct conf *conf = cli_load_conf(process->options, &errors);
    struct settings *fresh;

    reason[0] = 0;
    if (!conf) {
        snprintf(reason, ORDER_REASON_LEN, "%s", errors ? errors : "out of memory");
        refuse_reload(process, errors ? errors : "out of memory");
        free(errors);
        return;
    }
    frozen_list(process->scene.settings->conf, conf, frozen, sizeof(frozen));
    fresh = frozen[0] ? NULL : settings_new(conf, process->scene.settings, reason, ORDER_REASON_LEN);
    if (!fresh) {
        if (frozen[0])
            snprintf(reason, ORDER_REASON_LEN, "%s: only a restart changes that, so nothing was changed", frozen);
        refuse_reload(process, reason);
        conf_free(conf);
        return;
    }
    reason[0] = 0;
    tell_lines("configuration", conf_warnings(conf));
    tell_trust(fresh);
    take_settings(process, fresh);
    process->scene.reloads++;
    process->scene.reloaded_ms = scene_wall_ms();
    journal_write(process->scene.journal, LOG_INFO, "configuration reloaded",
                  LOG_TEXT("digest", conf_digest(fresh->conf)), LOG_NUM("overrides", conf_overrides(fresh->conf)));
}

static void reload(struct process *process, char reason[ORDER_REASON_LEN])
{
    service_note_reload(&process->service);
    read_again(process, reason);
    service_note_reloaded(&process->service, reason);
}

/* A second drain ends at once. */
static void drain(struct process *process, bool at_once, const char *who)
{
    bool now = at_once || process->scene.draining;

    process->scene.draining = true; /* /readyz says so before any listener closes */
    journal_write(process->scene.journal, LOG_INFO, now ? "ending at once" : "draining", LOG_TEXT("signal", who));
    service_note_drain(&process->service);
    crew_drain(&process->crew, now);
}

/* --- orders over the stats port --- */

static void order_reload(void *arg, char reason[ORDER_REASON_LEN])
{
    reload(arg, reason);
}

static void order_drain(void *arg, char reason[ORDER_REASON_LEN])
{
    struct process *process = arg;

    if (process->scene.draining)
        snprintf(reason, ORDER_REASON_LEN, "it is draining already");
    else
        drain(process, false, "stats port");
}

static void order_pin(void *arg, const char *backend, char reason[ORDER_REASON_LEN])
{
    struct process *process = arg;

    if (!monitor_pin(process->monitor, backend))
        snprintf(reason, ORDER_REASON_LEN,
                 "there is no backend of that name, or --expect names the only one that may be used");
}

/* --- signals --- */

static void on_stop(evutil_socket_t signal_number, short what, void *arg)
{
    (void)what;
    drain(arg, signal_number == SIGQUIT,
          signal_number == SIGTERM  ? "SIGTERM"
          : signal_number == SIGINT ? "SIGINT"
                                    : "SIGQUIT");
}

static void on_reload(evutil_socket_t signal_number, short what, void *arg)
{
    char reason[ORDER_REASON_LEN];

    (void)signal_number, (void)what;
    reload(arg, reason);
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
    confine();
    started = start_workers(process);
    if (started) {
        take_settings(process, settings_ref(process->scene.settings));
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

/* --- life --- */

static bool open_stats(struct process *process)
{
    const struct conf *conf = process->scene.settings->conf;
    struct http_places places = {
        .address = conf_string(conf, "stats", NULL, "address"),
        .unix_socket = conf_string(conf, "stats", NULL, "unix_socket"),
        .may_fail = !conf_is_set(conf, "stats", NULL, "address"),
    };

    process->http = http_new(&process->scene, &places);
    return process->http;
}

static bool init_process(struct process *process)
{
    struct scene *scene = &process->scene;

    if (!loop_init(&process->loop))
        return false;
    scene->loop = &process->loop;
    scene->crew = &process->crew;
    scene->build = &cli_build;
    scene->journal = journal_new();
    scene->history = history_new(scene);
    process->monitor = monitor_new(&process->loop, on_route, process);
    if (!scene_start(scene) || !scene->journal || !scene->history || !process->monitor)
        return false;
    scene->monitor = process->monitor;
    scene->orders = &process->orders;
    process->orders = (struct orders){.arg = process, .reload = order_reload, .drain = order_drain, .pin = order_pin};
    monitor_keep_journal(process->monitor, scene->journal);
    return service_init(&process->service, scene);
}

/* Before the workers and health, which the pages show, are gone. */
static void close_stats(struct process *process)
{
    event_base_loop(process->loop.base, EVLOOP_NONBLOCK); /* who ordered the end is still answered */
    http_free(process->http);
    history_free(process->scene.history);
}

static void finish_process(struct process *process)
{
    monitor_free(process->monitor);                       /* after the workers, which give it hints */
    event_base_loop(process->loop.base, EVLOOP_NONBLOCK); /* what is cancelled is still told */
    journal_free(process->scene.journal);
    service_finish(&process->service);
    scene_finish(&process->scene);
    settings_unref(process->scene.settings);
    loop_finish(&process->loop);
}

/* Takes over the reference to `settings`. */
static int serve(const struct cli_options *options, struct settings *settings)
{
    struct process process = {.options = options, .scene.settings = settings};
    int code = EXIT_FAILED;

    if (!init_process(&process)) {
        log_write(LOG_ERROR, "cannot start", LOG_TEXT("reason", strerror(errno)));
        return code;
    }
    if (crew_init(&process.crew, settings) && open_stats(&process)) {
        process.crew.journal = process.scene.journal;
        code = run_crew(&process);
    }
    close_stats(&process);
    crew_finish(&process.crew);
    finish_process(&process);
    return code == EXIT_FINE && atomic_load(&process.crew.drain_forced) ? EXIT_TIMED_OUT : code;
}

int cli_run(const struct cli_options *options)
{
    struct conf *conf = cli_load(options);
    struct settings *settings;
    char error[512];

    if (!conf)
        return EXIT_BAD_CONFIG;
    digest_make_ready();
    log_setup((enum log_level)conf_number(conf, "log", NULL, "level"), conf_number(conf, "log", NULL, "format"));
    settings = settings_new(conf, NULL, error, sizeof(error));
    if (!settings) {
        fprintf(stderr, "%s\n", error);
        conf_free(conf);
        return EXIT_BAD_CONFIG;
    }
    tell_start(settings);
    tell_lines("configuration", conf_warnings(conf));
    tell_trust(settings);
    tell_ci(settings);
    allow_descriptors(settings);
    return serve(options, settings);
}
