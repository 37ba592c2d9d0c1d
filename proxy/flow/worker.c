#include "proxy/flow/worker.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "protocol/command.h"
#include "proxy/flow/client.h"
#include "proxy/flow/foreign.h"
#include "proxy/flow/limit_notes.h"
#include "proxy/flow/limiter.h"
#include "proxy/flow/listener.h"
#include "proxy/flow/pool.h"
#include "proxy/flow/repairer.h"
#include "proxy/flow/roll.h"
#include "proxy/flow/script_cache.h"
#include "proxy/flow/slowlog.h"
#include "proxy/flow/switch.h"
#include "proxy/health/snapshot.h"
#include "proxy/net/log.h"

enum { TICK_US = 10000 };

/* --- clocks --- */

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct worker *worker = arg;
    uint64_t now_ms = loop_now_ms(&worker->loop);
    struct pool *pool;

    (void)fd, (void)what;
    worker->tick_armed = false;
    LIST_FOREACH(pool, &worker->pools, link)
    if (pool_tick(pool, now_ms))
        worker_want_tick(worker);
    clients_tick(worker, now_ms);
}

void worker_want_tick(struct worker *worker)
{
    struct timeval in = {.tv_usec = TICK_US};

    if (worker->tick_armed)
        return;
    worker->tick_armed = true;
    event_add(worker->tick, &in);
}

static void end_drain(struct worker *worker)
{
    if (!worker->draining || worker->loop.stop)
        return;
    if (!TAILQ_EMPTY(&worker->clients) && loop_now_ms(&worker->loop) < worker->drain_until_ms)
        return;
    if (!TAILQ_EMPTY(&worker->clients)) {
        log_write(LOG_WARN, "drain timed out", LOG_NUM("worker", worker->index));
        atomic_store(&worker->crew->drain_forced, true);
        clients_close_all(worker, "drain timed out");
    }
    worker->loop.stop = true;
}

/* How late it is says how long one turn of this worker takes, at worst. */
static void note_beat(struct worker *worker, uint64_t now_ms)
{
    uint64_t last_ms = atomic_load_explicit(&worker->beat_ms, memory_order_relaxed), late_us;

    late_us = now_ms > last_ms + 1000 ? (now_ms - last_ms - 1000) * 1000 : 0;
    if (late_us > UINT32_MAX)
        late_us = UINT32_MAX;
    histogram_add(&worker->lag, histogram_cell((uint32_t)late_us), (uint32_t)late_us);
    atomic_store_explicit(&worker->beat_ms, now_ms, memory_order_relaxed);
}

static void on_second(evutil_socket_t fd, short what, void *arg)
{
    struct worker *worker = arg;
    uint64_t now_ms = loop_now_ms(&worker->loop);
    struct pool *pool, *next;

    (void)fd, (void)what;
    note_beat(worker, now_ms);
    for (pool = LIST_FIRST(&worker->pools); pool; pool = next) {
        next = LIST_NEXT(pool, link);
        pool_tidy(pool, now_ms);
    }
    census_of_lanes(worker);
    clients_second(worker, now_ms);
    repairer_second(worker->repairer);
    limit_notes_second(worker->limiter);
    listeners_wake(worker);
    end_drain(worker);
}

/* --- mail --- */

static void on_mail(evutil_socket_t fd, short what, void *arg)
{
    struct worker *worker = arg;
    STAILQ_HEAD(mail, errand) mail;
    struct errand *errand;
    uint64_t wakes;

    (void)what;
    ssize_t n = read(fd, &wakes, sizeof(wakes));
    (void)n;
    STAILQ_INIT(&mail);
    pthread_mutex_lock(&worker->mail_lock);
    STAILQ_CONCAT(&mail, &worker->mailbox);
    pthread_mutex_unlock(&worker->mail_lock);
    while ((errand = STAILQ_FIRST(&mail))) {
        STAILQ_REMOVE_HEAD(&mail, link);
        errand->run(worker, errand);
    }
}

void worker_post(struct worker *worker, struct errand *errand)
{
    uint64_t one = 1;

    pthread_mutex_lock(&worker->mail_lock);
    STAILQ_INSERT_TAIL(&worker->mailbox, errand, link);
    pthread_mutex_unlock(&worker->mail_lock);
    ssize_t n = write(worker->mail_fd, &one, sizeof(one));
    (void)n; /* a full counter wakes as well */
}

/* --- life --- */

static bool worker_init(struct worker *worker, struct crew *crew, struct settings *settings, unsigned index)
{
    struct timeval second = {.tv_sec = 1};

    worker->crew = crew;
    worker->settings = settings_ref(settings);
    worker->backend = backend_ref(settings->backends[0]);
    worker->snapshot = snapshot_new(0); /* until the first choice */
    worker->index = index;
    LIST_INIT(&worker->pools);
    TAILQ_INIT(&worker->clients);
    TAILQ_INIT(&worker->throttling);
    STAILQ_INIT(&worker->mailbox);
    pthread_mutex_init(&worker->mail_lock, NULL);
    if (getrandom(&worker->random_state, sizeof(worker->random_state), 0) < 0 || !worker->random_state)
        worker->random_state = 88172645463325252U + index;
    if (!loop_init(&worker->loop))
        return false;
    worker->mail_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    worker->tick = event_new(worker->loop.base, -1, 0, on_tick, worker);
    worker->second = event_new(worker->loop.base, -1, EV_PERSIST, on_second, worker);
    worker->mail = event_new(worker->loop.base, worker->mail_fd, EV_READ | EV_PERSIST, on_mail, worker);
    if (worker->mail_fd < 0 || !worker->tick || !worker->second || !worker->mail)
        return false;
    atomic_init(&worker->beat_ms, loop_now_ms(&worker->loop));
    worker->loop.now_ms = 0; /* its first turn comes later */
    event_add(worker->second, &second);
    event_add(worker->mail, NULL);
    worker->commands = calloc(command_count(), sizeof(*worker->commands));
    worker->scripts = script_cache_new(worker->settings->script_cache);
    worker->foreign = foreign_new();
    worker->limiter = limiter_new(worker);
    worker->repairer = repairer_new(worker);
    worker->roll = roll_book_new();
    worker->slowlog = slowlog_new();
    if (!worker->foreign || !worker->limiter || !worker->repairer || !worker->snapshot || !worker->commands ||
        !worker->roll || !worker->slowlog)
        return false;
    worker->home = auth_first_pool(worker);
    return true;
}

static void worker_finish(struct worker *worker)
{
    struct errand *errand;

    listeners_close(worker);
    clients_close_all(worker, "shutdown");
    worker->usable = false;
    while (!LIST_EMPTY(&worker->pools))
        pool_free(LIST_FIRST(&worker->pools));
    while ((errand = STAILQ_FIRST(&worker->mailbox))) {
        STAILQ_REMOVE_HEAD(&worker->mailbox, link);
        errand->run(worker, errand);
    }
    snapshot_unref(worker->snapshot);
    backend_unref(worker->backend);
    settings_unref(worker->settings);
    script_cache_free(worker->scripts);
    limiter_free(worker->limiter);
    repairer_free(worker->repairer);
    foreign_free(worker->foreign);
    free(worker->commands);
    roll_book_free(worker->roll);
    slowlog_free(worker->slowlog);
    event_free(worker->tick);
    event_free(worker->second);
    event_free(worker->mail);
    close(worker->mail_fd);
    pthread_mutex_destroy(&worker->mail_lock);
    loop_finish(&worker->loop);
}

/* xorshift64: only jitter hangs on it. */
uint64_t worker_random(struct worker *worker)
{
    uint64_t x = worker->random_state;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return worker->random_state = x;
}

void worker_login_refused(struct worker *worker, struct pool *pool, enum pool_refusal refusal)
{
    if (refusal == POOL_BAD_LOGIN && worker->settings->auth == AUTH_BACKEND)
        clients_leave_pool(worker, pool, "the backend does not accept its login any more");
}

void worker_backend_lost(struct worker *worker)
{
    script_cache_new_epoch(worker->scripts);
    limiter_new_epoch(worker->limiter);
    foreign_forget(worker->foreign);
}

bool worker_has_verdict(const struct worker *worker)
{
    return worker->snapshot->n && !worker->snapshot->undecided;
}

void worker_client_gone(struct worker *worker)
{
    listeners_wake(worker); /* its descriptor is free */
    if (worker->draining && TAILQ_EMPTY(&worker->clients))
        worker->loop.stop = true;
}

/* --- the crew --- */

static bool open_listeners(struct crew *crew, const struct settings *settings)
{
    for (unsigned i = 0; i < crew->count; i++) {
        struct worker *worker = &crew->workers[i];
        if (settings->unix_socket[0] && i > 0 && !listener_share_unix(worker, &crew->workers[0]))
            return false;
        if (settings->unix_socket[0] && i == 0 &&
            !listener_open_unix(worker, settings->unix_socket, settings->unix_socket_mode))
            return false;
        if (i == 0 && !settings->listen_address[0])
            continue;
        if (settings->listen_address[0] && !listener_open_tcp(worker, settings->listen_address))
            return false;
    }
    return true;
}

bool crew_init(struct crew *crew, struct settings *settings)
{
    memset(crew, 0, sizeof(*crew));
    crew->workers = calloc(settings->workers, sizeof(*crew->workers));
    crew->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!crew->workers || crew->done_fd < 0 ||
        getrandom(&crew->lease_seed, sizeof(crew->lease_seed), 0) != sizeof(crew->lease_seed)) {
        log_write(LOG_ERROR, "cannot make workers", LOG_TEXT("reason", strerror(errno)));
        return false;
    }
    for (; crew->count < settings->workers; crew->count++)
        if (!worker_init(&crew->workers[crew->count], crew, settings, crew->count)) {
            log_write(LOG_ERROR, "cannot make a worker", LOG_TEXT("reason", strerror(errno)));
            return false;
        }
    return open_listeners(crew, settings);
}

static void *run(void *arg)
{
    struct worker *worker = arg;
    uint64_t one = 1;

    loop_run(&worker->loop);
    atomic_store(&worker->ended, true);
    if (atomic_fetch_sub(&worker->crew->working, 1) == 1) {
        ssize_t n = write(worker->crew->done_fd, &one, sizeof(one));
        (void)n;
    }
    return NULL;
}

bool crew_start(struct crew *crew)
{
    atomic_store(&crew->working, crew->count);
    for (unsigned i = 0; i < crew->count; i++) {
        listeners_start(&crew->workers[i]);
        int wrong = pthread_create(&crew->workers[i].thread, NULL, run, &crew->workers[i]);
        if (wrong) {
            crew->workers[i].thread = 0;
            log_write(LOG_ERROR, "cannot start a worker", LOG_TEXT("reason", strerror(wrong)));
            return false;
        }
    }
    return true;
}

struct route_order {
    struct errand errand;
    struct snapshot *snapshot;
    struct settings *settings;
};

static void take_route(struct worker *worker, struct errand *errand)
{
    struct route_order *order = (struct route_order *)errand;

    if (worker->crew->ending) {
        snapshot_unref(order->snapshot);
        settings_unref(order->settings);
    } else {
        switch_route(worker, order->snapshot, order->settings);
    }
    free(order);
}

void crew_route(struct crew *crew, struct snapshot *snapshot, struct settings *settings)
{
    for (unsigned i = 0; i < crew->count; i++) {
        struct route_order *order = calloc(1, sizeof(*order));
        if (!order)
            end_out_of_memory(sizeof(*order)); /* a worker that misses a switch would write to the wrong backend */
        order->errand.run = take_route;
        order->snapshot = snapshot_ref(snapshot);
        order->settings = settings ? settings_ref(settings) : NULL;
        worker_post(&crew->workers[i], &order->errand);
    }
}

struct drain_order {
    struct errand errand;
    bool now;
};

static void drain(struct worker *worker, struct errand *errand)
{
    struct drain_order *order = (struct drain_order *)errand;
    uint64_t timeout_ms = order->now ? 0 : worker->settings->drain_timeout_ms;

    free(order);
    listeners_close(worker);
    if (!worker->draining || !timeout_ms)
        worker->drain_until_ms = loop_now_ms(&worker->loop) + timeout_ms;
    worker->draining = true;
    clients_drain(worker);
    end_drain(worker);
}

void crew_drain(struct crew *crew, bool now)
{
    for (unsigned i = 0; i < crew->count; i++) {
        struct drain_order *order = calloc(1, sizeof(*order));
        if (!order)
            end_out_of_memory(sizeof(*order)); /* a worker that is not told would never end */
        order->errand.run = drain;
        order->now = now;
        worker_post(&crew->workers[i], &order->errand);
    }
}

static const struct counter_name {
    const char *name;
    size_t offset;
} counter_names[] = {
#define X(name, help) {#name, offsetof(struct counters, name)},
    COUNTERS(X)
#undef X
};

enum {
#define X(name, help) +1
    N_LEDGER = 0 COUNTERS_LEDGER(X),
#undef X
    N_COUNTERS = sizeof(counter_names) / sizeof(*counter_names),
};

uint64_t crew_total(const struct crew *crew, size_t offset)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < crew->count; i++)
        sum += atomic_load((const _Atomic uint64_t *)(const void *)((const char *)&crew->workers[i].counters + offset));
    return sum;
}

static void log_totals(const struct crew *crew, const char *event, unsigned first, unsigned end)
{
    struct log_field fields[N_COUNTERS + 1];
    unsigned n = 0;

    for (unsigned i = first; i < end; i++)
        fields[n++] = LOG_NUM(counter_names[i].name, crew_total(crew, counter_names[i].offset));
    fields[n] = LOG_END;
    log_fields(LOG_INFO, event, fields);
}

void crew_finish(struct crew *crew)
{
    bool served = crew->count && crew->workers[0].thread;

    for (unsigned i = 0; i < crew->count; i++)
        if (crew->workers[i].thread)
            pthread_join(crew->workers[i].thread, NULL);
    crew->ending = true;
    for (unsigned i = 0; i < crew->count; i++)
        worker_finish(&crew->workers[i]);
    if (served) {
        log_totals(crew, "counters", N_LEDGER, N_COUNTERS);
        log_totals(crew, "ledger", 0, N_LEDGER);
    }
    close(crew->done_fd);
    free(crew->workers);
}
