#include "proxy/health/monitor.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "proxy/health/backend.h"
#include "proxy/health/journal.h"
#include "proxy/health/monitor_parts.h"
#include "proxy/health/probe.h"
#include "proxy/health/resolve.h"
#include "proxy/health/snapshot.h"
#include "proxy/net/log.h"
#include "proxy/net/loop.h"

enum { JITTER_PERCENT = 10, STALL_TIMEOUTS = 2, CLOCK_FRESH_US = 60 * 1000 * 1000 };

static uint64_t now_ms(const struct monitor *monitor)
{
    return loop_now_ms(monitor->loop);
}

/* Not of the turn: the fence must not be early by what this turn has taken. */
static int64_t clock_ms(void)
{
    return clock_now_us() / 1000;
}

/* xorshift64: only jitter hangs on it, and the same seed gives the same jitter. */
static uint64_t draw(struct monitor *monitor)
{
    uint64_t x = monitor->random;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return monitor->random = x;
}

static void arm(struct event *event, uint64_t in_ms)
{
    struct timeval in = {.tv_sec = (time_t)(in_ms / 1000), .tv_usec = (suseconds_t)(in_ms % 1000) * 1000};

    event_add(event, &in);
}

static void arm_timer(struct monitor *monitor)
{
    uint64_t at_ms = monitor->director.next_timer_ms, now = now_ms(monitor);

    if (at_ms != DIRECTOR_NEVER)
        arm(monitor->timer, at_ms > now ? at_ms - now : 0);
}

/* --- checks --- */

static void check_at(struct watched *watched, uint64_t at_ms)
{
    uint64_t now = now_ms(watched->monitor);

    watched->due_ms = at_ms;
    arm(watched->due, at_ms > now ? at_ms - now : 0);
}

/* After a failure the states' own pace holds: the fence counts on it. */
static bool is_due_again(struct watched *watched)
{
    bool again = watched->again && !watched_health(watched)->fails;

    watched->again = false;
    return again;
}

static void schedule(struct watched *watched)
{
    struct monitor *monitor = watched->monitor;
    uint32_t wait_ms = director_next_check_ms(&monitor->director, watched->index);

    wait_ms += (uint32_t)(draw(monitor) % (wait_ms * JITTER_PERCENT / 100 + 1));
    check_at(watched, is_due_again(watched) ? now_ms(monitor) : watched->checked_ms + wait_ms);
}

/* After anything that the director was told: says what is new, and sees to the next timers. */
static void settle(struct monitor *monitor, struct watched *watched, bool state_changed, bool choice_changed)
{
    if (state_changed && watched)
        announce_state(watched);
    if (state_changed || choice_changed)
        announce_route(monitor);
    arm_timer(monitor);
}

/* Where each command costs, replies to users since the last look stand for a check; but they do not tell the time. */
static bool users_have_replies(struct watched *watched)
{
    const struct fence *fence = &watched->backend->fence;

    return watched->backend->metered && atomic_exchange(&watched->backend->replies, 0) &&
           watched_health(watched)->state == HEALTH_UP &&
           (!fence_knows(fence) || fence_age_us(fence, clock_now_us()) < CLOCK_FRESH_US);
}

/* One that is usable must be found dead soon: each round trip of connecting has no more time than an answer. */
static struct probe_limits limits_of_check(const struct watched *watched)
{
    enum health_state state = watched_health(watched)->state;
    uint32_t answer_ms = watched->monitor->rules.timeout_ms;
    uint32_t round_trips = watched->backend->url.tls ? 2 : 1;
    uint32_t connect_ms = (uint32_t)watched->backend->connect_timeout_ms;

    if (state == HEALTH_UP || state == HEALTH_SUSPECT || connect_ms < answer_ms)
        connect_ms = round_trips * answer_ms;
    return (struct probe_limits){
        .connect_ms = connect_ms, .answer_ms = answer_ms, .anew_ms = watched->monitor->rules.cert_interval_ms};
}

static void start_probe(struct watched *watched)
{
    struct probe_limits limits = limits_of_check(watched);

    fence_check_begins(&watched->backend->fence, watched_health(watched)->fails, clock_ms() * 1000);
    watched->checked_ms = (uint64_t)clock_ms(); /* not before what the fence says */
    probe_start(watched->probe, &limits);
}

static void check(struct watched *watched)
{
    if (probe_is_running(watched->probe)) {
        watched->again = true;
        return;
    }
    event_del(watched->due);
    watched->checked_ms = now_ms(watched->monitor);
    if (users_have_replies(watched))
        schedule(watched);
    else
        start_probe(watched);
}

static bool has_stalled(struct monitor *monitor);

/* No check is under way. */
static void tell_fence(struct watched *watched)
{
    const struct health *health = watched_health(watched);
    struct fence *fence = &watched->backend->fence;

    if (!route_is_usable(health->state))
        fence_left(fence);
    else if (health->fails)
        fence_check_failed(fence, health->fails, clock_now_us());
    else
        fence_idle(fence);
}

static void on_checked(void *arg, const struct probe_result *result)
{
    struct watched *watched = arg;
    struct monitor *monitor = watched->monitor;
    struct health before = *watched_health(watched);
    bool changed;

    if (has_stalled(monitor))
        return; /* our own lateness; everything is checked anew */
    tally_check(watched->backend, result);
    snprintf(watched->reason, sizeof(watched->reason), "%s", result->text);
    changed = director_result(&monitor->director, watched->index, result->cause, now_ms(monitor));
    tell_fence(watched);
    settle(monitor, watched,
           before.state != watched_health(watched)->state || before.cause != watched_health(watched)->cause, changed);
    schedule(watched);
}

static void on_due(evutil_socket_t fd, short what, void *arg)
{
    struct watched *watched = arg;

    (void)fd, (void)what;
    if (has_stalled(watched->monitor))
        return;
    if (now_ms(watched->monitor) < watched->due_ms)
        check_at(watched, watched->due_ms); /* timers go by a coarse clock */
    else
        check(watched);
}

/* --- hints of the data path --- */

static enum health_cause first_cause(unsigned hints)
{
    for (unsigned cause = 0; cause < CAUSE_COUNT; cause++)
        if (hints & (1U << cause))
            return (enum health_cause)cause;
    return CAUSE_NONE;
}

/* A hint brings a check at once, but a stream of hints brings one in each fast interval. */
static void follow_hint(struct watched *watched)
{
    struct monitor *monitor = watched->monitor;
    uint64_t free_ms = watched->hinted_ms + monitor->rules.health.fast_interval_ms, now = now_ms(monitor);

    if (now >= free_ms) {
        watched->hinted_ms = now;
        check(watched);
    } else if (!probe_is_running(watched->probe)) {
        check_at(watched, free_ms);
    }
}

static void on_hint(evutil_socket_t fd, short what, void *arg)
{
    struct monitor *monitor = arg;
    uint64_t wakes;
    ssize_t n = read(fd, &wakes, sizeof(wakes));

    (void)n, (void)what;
    if (has_stalled(monitor))
        return;
    for (unsigned i = 0; i < monitor->n; i++) {
        struct watched *watched = monitor->watched[i];
        unsigned hints = atomic_exchange(&watched->backend->hints, 0);
        enum health_state before = monitor->director.health[i].state;
        bool changed, state_changed;

        if (!hints)
            continue;
        if (before == HEALTH_UP)
            snprintf(watched->reason, sizeof(watched->reason), "the data path met trouble: %s",
                     health_cause_name(first_cause(hints)));
        changed = director_hint(&monitor->director, i, first_cause(hints), now_ms(monitor));
        state_changed = monitor->director.health[i].state != before;
        settle(monitor, watched, state_changed, changed);
        if (state_changed) /* else checks are under way already, at their own pace */
            follow_hint(watched);
    }
}

/* --- time --- */

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct monitor *monitor = arg;

    (void)fd, (void)what;
    if (!has_stalled(monitor))
        settle(monitor, NULL, false, director_tick(&monitor->director, now_ms(monitor)));
}

static uint32_t beat_interval_ms(const struct monitor *monitor)
{
    return monitor->rules.timeout_ms / 2 + 1;
}

/* Drops what was under way when the loop stood still: late timers and unread replies say nothing of a backend. */
static bool has_stalled(struct monitor *monitor)
{
    uint64_t now = now_ms(monitor), gap_ms = now - monitor->beat_ms;
    bool changed;

    if (gap_ms <= (uint64_t)STALL_TIMEOUTS * monitor->rules.timeout_ms + beat_interval_ms(monitor))
        return false;
    monitor->beat_ms = now;
    monitor->stalls++;
    journal_write(monitor->journal, LOG_WARN, "stood still", LOG_NUM("gap_ms", gap_ms),
                  LOG_NUM("stalls", monitor->stalls),
                  LOG_TEXT("reason", "this process did not run for so long; checks are made anew"));
    changed = director_stalled(&monitor->director, gap_ms, now);
    for (unsigned i = 0; i < monitor->n; i++) {
        probe_reset(monitor->watched[i]->probe);
        monitor->watched[i]->checked_ms = now;
        monitor->watched[i]->again = false;
        atomic_store(&monitor->watched[i]->backend->hints, 0); /* one that stays set would silence those to come */
        tell_fence(monitor->watched[i]);
        check_at(monitor->watched[i], now);
    }
    settle(monitor, NULL, false, changed);
    return true;
}

static void on_beat(evutil_socket_t fd, short what, void *arg)
{
    struct monitor *monitor = arg;

    (void)fd, (void)what;
    has_stalled(monitor);
    monitor->beat_ms = now_ms(monitor);
    arm(monitor->beat, beat_interval_ms(monitor));
}

/* --- life --- */

struct monitor *monitor_new(struct loop *loop, monitor_on_route *on_route, void *arg)
{
    struct monitor *monitor = calloc(1, sizeof(*monitor));

    if (!monitor)
        return NULL;
    monitor->loop = loop;
    monitor->on_route = on_route;
    monitor->arg = arg;
    monitor->beat_ms = now_ms(monitor);
    monitor->director.choice.index = ROUTE_NONE; /* it is configured before it decides anything */
    monitor->hint_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    monitor->resolver = resolver_new(loop->base);
    monitor->hints = event_new(loop->base, monitor->hint_fd, EV_READ | EV_PERSIST, on_hint, monitor);
    monitor->timer = event_new(loop->base, -1, 0, on_timer, monitor);
    monitor->beat = event_new(loop->base, -1, 0, on_beat, monitor);
    if (monitor->hint_fd >= 0 && monitor->resolver && monitor->hints && monitor->timer && monitor->beat) {
        event_add(monitor->hints, NULL);
        return monitor;
    }
    monitor_free(monitor);
    return NULL;
}

static int find_index(const struct monitor *monitor, const char *name)
{
    for (unsigned i = 0; i < monitor->n; i++)
        if (!strcmp(monitor->watched[i]->backend->name, name))
            return (int)i;
    return ROUTE_NONE;
}

bool monitor_pin(struct monitor *monitor, const char *name)
{
    int index = name ? find_index(monitor, name) : ROUTE_NONE;
    bool changed;

    if (monitor->expected[0] || (name && index == ROUTE_NONE))
        return false;
    snprintf(monitor->pinned, sizeof(monitor->pinned), "%s", name ? name : "");
    journal_write(monitor->journal, LOG_WARN, name ? "pinned" : "unpinned", LOG_TEXT("backend", name ? name : "none"));
    changed = director_pin(&monitor->director, index, now_ms(monitor));
    settle(monitor, NULL, true, changed);
    return true;
}

const char *monitor_pinned(const struct monitor *monitor)
{
    return monitor->pinned;
}

uint64_t monitor_stalls(const struct monitor *monitor)
{
    return monitor->stalls;
}

void monitor_keep_journal(struct monitor *monitor, struct journal *journal)
{
    monitor->journal = journal;
}

static struct watched *watch(struct monitor *monitor, struct backend *backend)
{
    struct watched *watched = calloc(1, sizeof(*watched));

    if (watched) {
        watched->monitor = monitor;
        watched->backend = backend_ref(backend);
        watched->due = event_new(monitor->loop->base, -1, 0, on_due, watched);
        watched->probe = probe_new(monitor->loop, backend, on_checked, watched);
    }
    if (!watched || !watched->due || !watched->probe)
        end_out_of_memory(sizeof(*watched));
    resolver_add(monitor->resolver, backend);
    atomic_store(&backend->hint_fd, monitor->hint_fd);
    return watched;
}

static void unwatch(struct watched *watched)
{
    atomic_store(&watched->backend->hint_fd, -1);
    resolver_remove(watched->monitor->resolver, watched->backend);
    probe_free(watched->probe);
    event_free(watched->due);
    backend_unref(watched->backend);
    free(watched);
}

void monitor_free(struct monitor *monitor)
{
    if (!monitor)
        return;
    for (unsigned i = 0; i < monitor->n; i++)
        unwatch(monitor->watched[i]);
    if (monitor->resolver)
        resolver_free(monitor->resolver);
    if (monitor->hints)
        event_free(monitor->hints);
    if (monitor->timer)
        event_free(monitor->timer);
    if (monitor->beat)
        event_free(monitor->beat);
    if (monitor->hint_fd >= 0)
        close(monitor->hint_fd);
    snapshot_unref(monitor->snapshot);
    backend_unref(monitor->last_used);
    free(monitor);
}

/* --- configuration --- */

static uint64_t draw_seed(uint64_t seed)
{
    if (!seed && getrandom(&seed, sizeof(seed), 0) < 0)
        seed = 0;
    return seed ? seed : UINT64_C(88172645463325252);
}

static struct watched *find_watched(struct watched **watched, unsigned n, const struct backend *backend)
{
    for (unsigned i = 0; i < n; i++)
        if (watched[i] && watched[i]->backend == backend)
            return watched[i];
    return NULL;
}

static void direct(struct monitor *monitor, const struct monitor_rules *rules, const int *origins)
{
    struct director_rules director_rules = {
        .hold = rules->hold, .failback = rules->failback, .grace_ms = rules->start_grace_ms};

    director_rules.pinned = ROUTE_NONE;
    for (unsigned i = 0; i < monitor->n; i++) {
        const struct backend *backend = monitor->watched[i]->backend;
        director_rules.health[i] = rules->health;
        if (backend->metered)
            director_rules.health[i].interval_ms = rules->metered_interval_ms;
        fence_set_rules(&monitor->watched[i]->backend->fence, &rules->health, rules->timeout_ms);
        if (!strcmp(backend->name, rules->expected[0] ? rules->expected : monitor->pinned))
            director_rules.pinned = (int)i;
    }
    if (director_rules.pinned == ROUTE_NONE)
        monitor->pinned[0] = 0; /* the backend is gone */
    director_configure(&monitor->director, monitor->n, &director_rules, origins, now_ms(monitor));
}

void monitor_configure(struct monitor *monitor, const struct monitor_rules *rules, struct backend **backends,
                       unsigned n)
{
    struct watched *before[ROUTE_BACKENDS_MAX];
    int origins[ROUTE_BACKENDS_MAX];
    unsigned n_before = monitor->n;

    memcpy(before, monitor->watched, sizeof(before));
    monitor->rules = *rules;
    monitor->rules.expected = monitor->expected;
    snprintf(monitor->expected, sizeof(monitor->expected), "%s", rules->expected);
    monitor->random = draw_seed(rules->seed);
    monitor->n = n;
    for (unsigned i = 0; i < n; i++) {
        struct watched *known = find_watched(before, n_before, backends[i]);
        origins[i] = known ? (int)known->index : ROUTE_NONE;
        monitor->watched[i] = known ? known : watch(monitor, backends[i]);
        if (known)
            before[known->index] = NULL;
    }
    for (unsigned i = 0; i < n; i++)
        monitor->watched[i]->index = i;
    direct(monitor, rules, origins);
    announce_route(monitor);
    for (unsigned i = 0; i < n_before; i++)
        if (before[i])
            unwatch(before[i]);
    on_beat(-1, 0, monitor);
    arm_timer(monitor);
    for (unsigned i = 0; i < n; i++)
        if (!monitor->watched[i]->checked_ms)
            check(monitor->watched[i]);
        else if (!probe_is_running(monitor->watched[i]->probe))
            schedule(monitor->watched[i]); /* not at once: checks may cost money, or lock an account */
}
