/*
 * tagload: a load in which each reply must carry the tag of its request. Usage: see usage() below.
 *
 * Exit code 0: every reply was right; 1: a wrong or a missing one; 2: the load could not run.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "tagload/client.h"
#include "tagload/killer.h"
#include "tagload/partner.h"
#include "tagload/report.h"

enum { EVENTS = 64, TURN_MS = 2, ENOUGH_WRONG = 10 };

static void usage(void)
{
    fputs(
        "usage: tagload --target HOST:PORT [--clients 64] [--replies 100000] [--seed N] [--depth 200]\n"
        "               [--backend HOST:PORT --kill-interval-ms N] [--stall-ms 30000] [--max-seconds 600]\n"
        "Addresses are IPv4 numbers. With --kill-interval-ms the backend's connections are killed meanwhile, and the\n"
        "proxy's words for that (-RGUNKNOWN, -RGUNAVAIL, -RGSTATE and close) are allowed.\n",
        stderr);
    exit(2);
}

static uint64_t number(const char *text)
{
    char *end;
    unsigned long long n = strtoull(text, &end, 10);

    if (end == text || *end)
        usage();
    return n;
}

static void address(const char *text, char host[64], uint16_t *port)
{
    const char *colon = strrchr(text, ':');

    if (!colon || colon - text > 63)
        usage();
    snprintf(host, 64, "%.*s", (int)(colon - text), text);
    *port = (uint16_t)number(colon + 1);
}

static void parse_options(int argc, char **argv, struct options *o)
{
    enum { TARGET, BACKEND, CLIENTS, REPLIES, SEED, DEPTH, KILL, STALL, SECONDS };
    static const struct option names[] = {
        {"target", 1, NULL, TARGET},
        {"backend", 1, NULL, BACKEND},
        {"clients", 1, NULL, CLIENTS},
        {"replies", 1, NULL, REPLIES},
        {"seed", 1, NULL, SEED},
        {"depth", 1, NULL, DEPTH},
        {"kill-interval-ms", 1, NULL, KILL},
        {"stall-ms", 1, NULL, STALL},
        {"max-seconds", 1, NULL, SECONDS},
        {0},
    };
    uint32_t *const numbers[] = {[CLIENTS] = &o->clients,
                                 [DEPTH] = &o->depth,
                                 [KILL] = &o->kill_interval_ms,
                                 [STALL] = &o->stall_ms,
                                 [SECONDS] = &o->max_seconds};
    int name;

    *o = (struct options){.clients = 64, .depth = 200, .stall_ms = 30000, .max_seconds = 600, .replies = 100000};
    if (getrandom(&o->seed, 4, 0) != 4)
        abort();
    while ((name = getopt_long(argc, argv, "", names, NULL)) >= 0) {
        if (name == TARGET)
            address(optarg, o->target_host, &o->target_port);
        else if (name == BACKEND)
            address(optarg, o->backend_host, &o->backend_port);
        else if (name == SEED)
            o->seed = number(optarg);
        else if (name == REPLIES)
            o->replies = number(optarg);
        else if (name >= 0 && name <= SECONDS && numbers[name])
            *numbers[name] = (uint32_t)number(optarg);
        else
            usage();
    }
    if (!o->target_port || !o->clients || o->depth < 2 || (o->kill_interval_ms && !o->backend_port) || optind < argc)
        usage();
}

static uint64_t clock_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void load_watch(struct load *load, int fd, struct source *source, uint32_t events, bool is_new)
{
    struct epoll_event event = {.events = events, .data.ptr = source};

    if (epoll_ctl(load->epoll_fd, is_new ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event) != 0)
        abort();
}

static bool all_idle(const struct load *load)
{
    for (uint32_t i = 0; i < load->options.clients; i++)
        if (load->clients[i].state != CLIENT_CLOSED && !client_is_idle(&load->clients[i]))
            return false;
    return true;
}

static void tick(struct load *load)
{
    if (load->counters.replies >= load->options.replies || load->now_ms >= load->deadline_ms)
        load->stopping = true;
    client_tick(&load->partner->client);
    for (uint32_t i = 0; partner_is_prepared(load->partner) && i < load->options.clients; i++)
        client_tick(&load->clients[i]);
    if (load->killer && !load->stopping)
        killer_tick(load->killer);
}

static void run(struct load *load)
{
    struct epoll_event events[EVENTS];
    uint64_t ticked_ms = 0;

    while (!load->gone && !(load->stopping && all_idle(load)) &&
           load->counters.wrong + load->counters.missing < ENOUGH_WRONG) {
        int n = epoll_wait(load->epoll_fd, events, EVENTS, TURN_MS);

        load->now_ms = clock_ms();
        for (int i = 0; i < n; i++) {
            struct source *source = events[i].data.ptr;

            source->on_event(source, events[i].events);
        }
        if (load->now_ms != ticked_ms) {
            ticked_ms = load->now_ms;
            tick(load);
        }
    }
}

static bool start(struct load *load)
{
    load->now_ms = clock_ms();
    load->deadline_ms = load->now_ms + 1000u * (uint64_t)load->options.max_seconds;
    load->faults = load->options.kill_interval_ms > 0;
    load->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    load->clients = calloc(load->options.clients, sizeof(*load->clients));
    if (load->epoll_fd < 0 || !load->clients || getrandom(&load->run_id, sizeof(load->run_id), 0) < 0)
        abort();
    for (uint32_t i = 0; i < load->options.clients; i++)
        client_init(&load->clients[i], load, i);
    load->partner = partner_new(load);
    if (!load->faults)
        return true;
    load->killer = killer_new(load);
    return load->killer != NULL;
}

static void finish(struct load *load)
{
    for (uint32_t i = 0; i < load->options.clients; i++)
        client_free(&load->clients[i]);
    partner_free(load->partner);
    if (load->killer)
        killer_free(load->killer);
    free(load->clients);
    close(load->epoll_fd);
}

int main(int argc, char **argv)
{
    struct load load = {0};

    parse_options(argc, argv, &load.options);
    fprintf(stderr, "tagload: seed %" PRIu64 "\n", load.options.seed);
    bool started = start(&load);
    uint64_t start_ms = load.now_ms;
    if (started)
        run(&load);
    if (load.gone)
        fprintf(stderr, "tagload: the target takes no connections\n");
    report_verdict(&load, (double)(clock_ms() - start_ms) / 1000.0, stdout);
    bool wrong = load.counters.wrong > 0 || load.counters.missing > 0;
    bool enough = load.counters.replies >= load.options.replies;
    finish(&load);
    if (wrong)
        return 1;
    return enough ? 0 : 2;
}
