/*
 * ledgerload: writes of unique keys in closed loops, and a book of what the clients were told. See usage() below.
 *
 * It prints READY when every client had its first good reply, runs until its stdin ends, waits for what is outstanding
 * and writes the book. Whoever drives it then looks on every backend how often each key was executed.
 */
#include <arpa/inet.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "ledgerload/client.h"

enum { EVENTS = 64, CLIENTS_MAX = 1000 };

struct options {
    uint32_t clients, drain_ms;
    const char *out;
};

static void __attribute__((noreturn)) usage(void)
{
    fputs("usage: ledgerload --target HOST:PORT --out FILE [--prefix ledger] [--clients 8] [--pause-ms 0]\n"
          "                  [--drain-ms 5000]\n"
          "HOST is an IPv4 number. Runs until its stdin ends; then replies that are outstanding have --drain-ms.\n",
          stderr);
    exit(2);
}

static uint32_t number(const char *text, uint32_t max)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);

    if (end == text || *end || n > max)
        usage();
    return (uint32_t)n;
}

static struct sockaddr_in address(char *text)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    char *colon = strrchr(text, ':');

    if (!colon)
        usage();
    *colon = '\0';
    to.sin_port = htons((uint16_t)number(colon + 1, 65535));
    if (inet_pton(AF_INET, text, &to.sin_addr) != 1)
        usage();
    return to;
}

static void parse_options(int argc, char **argv, struct load *load, struct options *options)
{
    static const struct option names[] = {{"target", 1, NULL, 't'},
                                          {"out", 1, NULL, 'o'},
                                          {"prefix", 1, NULL, 'p'},
                                          {"clients", 1, NULL, 'c'},
                                          {"pause-ms", 1, NULL, 'w'},
                                          {"drain-ms", 1, NULL, 'd'},
                                          {0}};
    int name;

    *options = (struct options){.clients = 8, .drain_ms = 5000};
    load->prefix = "ledger";
    while ((name = getopt_long(argc, argv, "", names, NULL)) >= 0) {
        if (name == 't')
            load->target = address(optarg);
        else if (name == 'o')
            options->out = optarg;
        else if (name == 'p')
            load->prefix = optarg;
        else if (name == 'c')
            options->clients = number(optarg, CLIENTS_MAX);
        else if (name == 'w')
            load->pause_ns = (int64_t)number(optarg, 60000) * 1000000;
        else if (name == 'd')
            options->drain_ms = number(optarg, 600000);
        else
            usage();
    }
    if (!load->target.sin_port || !options->out || !options->clients || strlen(load->prefix) > 64 || optind < argc)
        usage();
}

static bool stdin_ended(void)
{
    char bytes[64];

    return read(STDIN_FILENO, bytes, sizeof(bytes)) <= 0;
}

static bool all_served(const struct client *clients, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (!clients[i].served)
            return false;
    return true;
}

static bool any_waits(const struct client *clients, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (clients[i].state == CLIENT_WAITING)
            return true;
    return false;
}

/* One wait for events, at most a millisecond. */
static void turn(struct load *load, struct client *clients, uint32_t n)
{
    struct epoll_event events[EVENTS];
    int ready = epoll_wait(load->epoll_fd, events, EVENTS, 1);

    for (int i = 0; i < ready; i++) {
        if (events[i].data.ptr)
            client_on_event(events[i].data.ptr, events[i].events);
        else
            load->stopping = load->stopping || stdin_ended();
    }
    int64_t now_ns = clock_ns();
    for (uint32_t i = 0; i < n; i++)
        client_tick(&clients[i], now_ns);
}

static void run(struct load *load, struct client *clients, const struct options *options)
{
    bool ready = false;

    while (!load->stopping) {
        turn(load, clients, options->clients);
        if (!ready && all_served(clients, options->clients)) {
            ready = true;
            puts("READY");
            fflush(stdout);
        }
    }
    struct epoll_event none = {0};
    epoll_ctl(load->epoll_fd, EPOLL_CTL_DEL, STDIN_FILENO, &none);
    int64_t deadline_ns = clock_ns() + (int64_t)options->drain_ms * 1000000;
    while (any_waits(clients, options->clients) && clock_ns() < deadline_ns)
        turn(load, clients, options->clients);
}

static void report(const struct load *load)
{
    printf("{");
    for (enum outcome outcome = 0; outcome < OUTCOME_COUNT; outcome++)
        printf("\"%s\": %" PRIu64 ", ", outcome_name(outcome), load->book.counts[outcome]);
    printf("\"refused\": %" PRIu64 "}\n", load->refused);
}

int main(int argc, char **argv)
{
    struct load load = {0};
    struct options options;
    struct epoll_event event = {.events = EPOLLIN};

    parse_options(argc, argv, &load, &options);
    FILE *out = fopen(options.out, "w");
    struct client *clients = calloc(options.clients, sizeof(*clients));
    load.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (!out || !clients || load.epoll_fd < 0 || epoll_ctl(load.epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &event) < 0) {
        perror("ledgerload");
        return 2;
    }
    book_init(&load.book);
    for (uint32_t i = 0; i < options.clients; i++)
        client_init(&clients[i], &load, i);
    run(&load, clients, &options);
    for (uint32_t i = 0; i < options.clients; i++)
        client_finish(&clients[i]);
    book_write(&load.book, out);
    if (fclose(out) != 0) {
        perror(options.out);
        return 2;
    }
    report(&load);
    book_free(&load.book);
    free(clients);
    close(load.epoll_fd);
    return 0;
}
