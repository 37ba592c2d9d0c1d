/*
 * bench_load: a closed-loop load generator on one thread.
 *
 * It fills the keys through --preload, connects everything, warms up and prints READY. Then each line on stdin is one
 * window: it runs until the time or the requests are used up and the last reply was heard, prints one line of JSON and
 * rests, connected, without a byte under way. So whoever drives it reads the clocks of the other processes before the
 * line and after the JSON, when all is at rest, and has what exactly this window cost. The end of stdin ends it:
 * `echo | bench_load --target 127.0.0.1:6379` measures once.
 */
#include "client.h"

#include <getopt.h>
#include <inttypes.h>
#include <netdb.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { STALL_MS = 5000, EVENTS_PER_TURN = 512, CLIENTS_MAX = 18000, PIPELINE_MAX = 1024 };

struct options {
    const char *target, *preload, *file, *reply;
    unsigned clients, pipeline;
    double window_s, warmup_s;
    uint64_t requests;
    enum workload workload;
    size_t value_len;
    uint32_t keys;
    int cpu;
};

struct address {
    struct sockaddr_storage bytes;
    socklen_t len;
};

static const char *const workload_names[] = {"get", "set", "getset", "mget10", "evalsha", "connect", "big", "file"};

static void __attribute__((noreturn, format(printf, 1, 2))) refuse(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("bench_load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(2);
}

static enum workload parse_workload(const char *name)
{
    for (size_t i = 0; i < sizeof(workload_names) / sizeof(*workload_names); i++)
        if (strcmp(name, workload_names[i]) == 0)
            return (enum workload)i;
    refuse("--workload: one of get, set, getset, mget10, evalsha, connect, big, file");
}

static double parse_number(const char *name, const char *text, double min, double max)
{
    char *end;
    double number = strtod(text, &end);
    if (end == text || *end || number < min || number > max)
        refuse("--%s: a number from %.0f to %.0f", name, min, max);
    return number;
}

static struct options parse_options(int argc, char **argv)
{
    static const struct option names[] = {
        {"target", required_argument, NULL, 't'},   {"preload", required_argument, NULL, 'l'},
        {"clients", required_argument, NULL, 'c'},  {"pipeline", required_argument, NULL, 'P'},
        {"seconds", required_argument, NULL, 's'},  {"warmup", required_argument, NULL, 'u'},
        {"requests", required_argument, NULL, 'n'}, {"workload", required_argument, NULL, 'w'},
        {"size", required_argument, NULL, 'd'},     {"keys", required_argument, NULL, 'k'},
        {"cpu", required_argument, NULL, 'C'},      {"file", required_argument, NULL, 'f'},
        {"reply", required_argument, NULL, 'r'},    {NULL, 0, NULL, 0},
    };
    struct options options = {
        .clients = 50,
        .pipeline = 1,
        .window_s = 1,
        .warmup_s = 0.2,
        .workload = WORK_GETSET,
        .value_len = 16,
        .keys = 1000,
        .cpu = -1,
    };
    int name, index;
    while ((name = getopt_long(argc, argv, "", names, &index)) != -1) {
        const char *text = optarg, *known = name == '?' ? "" : names[index].name;
        switch (name) {
        case 't':
            options.target = text;
            break;
        case 'l':
            options.preload = text;
            break;
        case 'c':
            options.clients = (unsigned)parse_number(known, text, 1, CLIENTS_MAX);
            break;
        case 'P':
            options.pipeline = (unsigned)parse_number(known, text, 1, PIPELINE_MAX);
            break;
        case 's':
            options.window_s = parse_number(known, text, 0, 600);
            break;
        case 'u':
            options.warmup_s = parse_number(known, text, 0, 60);
            break;
        case 'n':
            options.requests = (uint64_t)parse_number(known, text, 1, 1e9);
            break;
        case 'w':
            options.workload = parse_workload(text);
            break;
        case 'd':
            options.value_len = (size_t)parse_number(known, text, VALUE_MIN, 512e6);
            break;
        case 'k':
            options.keys = (uint32_t)parse_number(known, text, 1, KEYS_MAX - 1);
            break;
        case 'C':
            options.cpu = (int)parse_number(known, text, 0, CPU_SETSIZE - 1);
            break;
        case 'f':
            options.file = text;
            break;
        case 'r':
            options.reply = text;
            break;
        default:
            exit(2);
        }
    }
    if (!options.target)
        refuse("--target: host:port or unix:path");
    bool single = options.workload == WORK_CONNECT || options.value_len > INLINE_VALUE_MAX;
    if (single && options.pipeline > 1)
        refuse("--pipeline: 1 for connect and for values over %d bytes", INLINE_VALUE_MAX);
    if (options.workload == WORK_FILE && !(options.file && options.reply))
        refuse("--workload file: needs --file and --reply, what each reply begins with");
    return options;
}

static struct address parse_address(const char *text)
{
    struct address address = {.len = 0};
    struct sockaddr_un *local = (struct sockaddr_un *)&address.bytes;
    char host[256];
    const char *colon = strrchr(text, ':');

    if (strncmp(text, "unix:", 5) == 0) {
        if (strlen(text + 5) >= sizeof(local->sun_path))
            refuse("%s: the path is too long", text);
        local->sun_family = AF_UNIX;
        strcpy(local->sun_path, text + 5);
        address.len = sizeof(*local);
        return address;
    }
    if (!colon || (size_t)(colon - text) >= sizeof(host))
        refuse("%s: host:port or unix:path", text);
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = 0;
    struct addrinfo *found, hints = {.ai_socktype = SOCK_STREAM};
    int failure = getaddrinfo(host, colon + 1, &hints, &found);
    if (failure)
        refuse("%s: %s", text, gai_strerror(failure));
    memcpy(&address.bytes, found->ai_addr, found->ai_addrlen);
    address.len = found->ai_addrlen;
    freeaddrinfo(found);
    return address;
}

static void pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set) < 0)
        refuse("--cpu: this process may not run on cpu %d", cpu);
}

static void say(FILE *backend, const char *bytes, size_t len)
{
    if (fwrite(bytes, 1, len, backend) != len || fflush(backend) != 0)
        refuse("preload: the backend does not take the data");
}

static void hear_line(FILE *backend, char *line, int room, char type)
{
    if (!fgets(line, room, backend) || *line != type)
        refuse("preload: the backend answers %s", line);
}

/* Straight to the backend, because some proxies refuse SCRIPT, and so that no proxy's state depends on it. */
static void preload(struct wire *wire, const struct address *address)
{
    FILE *backend = fdopen(connect_target(&address->bytes, address->len), "r+");
    char line[256] = "nothing", *request = malloc(wire_ask_max(wire));
    if (!backend || !request)
        abort();

    for (uint32_t key = 0; key < wire->keys; key++) {
        struct ask ask = {.key = key, .write = true};
        say(backend, request, wire_ask(wire, ask, request));
        if (wire_has_tail(wire, ask))
            say(backend, wire->value_tail, wire->value_tail_len);
        hear_line(backend, line, sizeof(line), '+');
    }
    int len = snprintf(line, sizeof(line), "*3\r\n$6\r\nSCRIPT\r\n$4\r\nLOAD\r\n$%zu\r\n%s\r\n", strlen(BENCH_SCRIPT),
                       BENCH_SCRIPT);
    say(backend, line, (size_t)len);
    hear_line(backend, line, sizeof(line), '$');
    if (!fgets(line, sizeof(line), backend) || strlen(line) != SHA_LEN + 2)
        refuse("preload: SCRIPT LOAD gave no digest");
    memcpy(wire->sha, line, SHA_LEN);
    free(request);
    fclose(backend);
}

static void stalled(struct load *load, struct client *clients, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (clients[i].fd >= 0 && clients[i].heard < clients[i].asked)
            client_fail(load, &clients[i], "no reply for 5 seconds");
}

/* Runs until `window_s` passed or `requests` were asked (0: no bound), and every reply came. */
static void run_window(struct load *load, struct client *clients, unsigned count, double window_s, uint64_t requests)
{
    struct epoll_event events[EVENTS_PER_TURN];

    memset(&load->tally, 0, sizeof(load->tally));
    load->deadline_ns = requests ? INT64_MAX : now_ns() + (int64_t)(window_s * 1e9);
    load->asks_left = requests ? requests : UINT64_MAX;
    for (unsigned i = 0; i < count; i++)
        client_begin(load, &clients[i]);
    while (load->busy > 0) {
        int ready = epoll_wait(load->epoll_fd, events, EVENTS_PER_TURN, STALL_MS);
        if (ready == 0)
            stalled(load, clients, count);
        for (int i = 0; i < ready; i++)
            client_on_event(load, events[i].data.ptr, events[i].events);
    }
}

static double cpu_s(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

static bool next_line(void)
{
    char byte = 0;
    while (byte != '\n')
        if (read(STDIN_FILENO, &byte, 1) != 1)
            return false;
    return true;
}

static void measure(struct load *load, struct client *clients, const struct options *options)
{
    const struct tally *tally = &load->tally;
    double cpu_start_s = cpu_s();
    int64_t start_ns = now_ns();
    run_window(load, clients, options->clients, options->window_s, options->requests);
    int64_t end_ns = now_ns();
    double cpu_used_s = cpu_s() - cpu_start_s, seconds = (double)(end_ns - start_ns) / 1e9;

    printf("{\"requests\": %" PRIu64 ", \"seconds\": %.6f, \"req_per_s\": %.1f, \"errors\": %" PRIu64
           ", \"p50_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f, \"cpu_s\": %.6f, \"start_ns\": %" PRId64
           ", \"end_ns\": %" PRId64 "}\n",
           tally->requests, seconds, (double)tally->requests / seconds, tally->errors, tally_quantile_us(tally, 0.50),
           tally_quantile_us(tally, 0.99), (double)tally->latency_max_ns / 1e3, cpu_used_s, start_ns, end_ns);
}

int main(int argc, char **argv)
{
    static struct load load;
    struct options options = parse_options(argc, argv);
    struct address target = parse_address(options.target);
    struct address backend = options.preload ? parse_address(options.preload) : target;
    struct client *clients = calloc(options.clients, sizeof(*clients));
    if (!clients)
        abort();

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (options.cpu >= 0)
        pin(options.cpu);
    wire_init(&load.wire, options.workload, options.keys, options.value_len);
    if (options.workload != WORK_FILE)
        preload(&load.wire, &backend);
    else if (!wire_use_file(&load.wire, options.file, options.reply))
        refuse("%s: cannot be read, or is not requests", options.file);
    load.target = target.bytes;
    load.target_len = target.len;
    load.pipeline = options.pipeline;
    load.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    for (unsigned i = 0; i < options.clients; i++)
        client_init(&load, &clients[i], i);

    run_window(&load, clients, options.clients, options.warmup_s, 0);
    if (load.tally.errors == 0)
        puts("READY");
    while (load.tally.errors == 0 && next_line())
        measure(&load, clients, &options);

    for (unsigned i = 0; i < options.clients; i++)
        client_finish(&clients[i]);
    free(clients);
    wire_finish(&load.wire);
    close(load.epoll_fd);
    return load.tally.errors ? 1 : 0;
}
