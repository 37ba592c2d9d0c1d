/*
 * Any bytes at the stats port, by TCP and by its Unix socket, in front of a scene with a backend that nobody checks:
 * the same answers whether they come whole or in pieces, every one of them a status that we give, and no order carried
 * out that was not POSTed over the Unix socket or, with `stats.admin`, to a literal address. The first byte chooses.
 */
#include <assert.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "conf/conf.h"
#include "proxy/flow/settings.h"
#include "proxy/flow/worker.h"
#include "proxy/health/journal.h"
#include "proxy/health/monitor.h"
#include "proxy/net/log.h"
#include "proxy/net/loop.h"
#include "proxy/watch/build.h"
#include "proxy/watch/history.h"
#include "proxy/watch/http.h"
#include "proxy/watch/orders.h"
#include "proxy/watch/scene.h"

enum { INPUT_MAX = 4096, ANSWER_MAX = 1 << 20, STATUSES_MAX = 256, IDLE_TURNS = 4 };

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Two ports: one that takes orders of those who may give them, one that takes none but over its Unix socket. */
static struct side {
    struct scene scene;
    struct crew crew;
    struct orders orders;
    struct http *http;
    struct sockaddr_un local;
    struct sockaddr_in tcp;
} sides[2];

static struct loop loop;
static unsigned orders_given;

/* --- the scene --- */

static void on_order(void *arg, char reason[ORDER_REASON_LEN])
{
    (void)arg;
    orders_given++;
    snprintf(reason, ORDER_REASON_LEN, "not in this one");
}

static void on_pin(void *arg, const char *backend, char reason[ORDER_REASON_LEN])
{
    (void)backend;
    on_order(arg, reason);
}

static void on_route(void *arg, struct snapshot *snapshot)
{
    (void)arg, (void)snapshot;
}

static void build_scene(struct side *side, bool admin)
{
    static const struct build build = {.version = "0", .commit = "0", .type = "fuzz", .compiler = "clang"};
    const char *sets[] = {"backend.default.url=redis://127.0.0.1:1/0", "listen.address=127.0.0.1:2",
                          admin ? "stats.admin=yes" : "stats.admin=no"};
    struct conf_sources sources = {.sets = sets, .n_sets = sizeof(sets) / sizeof(sets[0])};
    char *errors = NULL, error[256];
    struct conf *conf = conf_load(&sources, &errors);

    assert(conf);
    side->orders = (struct orders){.reload = on_order, .drain = on_order, .pin = on_pin};
    side->scene = (struct scene){.build = &build, .loop = &loop, .crew = &side->crew, .orders = &side->orders};
    side->scene.settings = settings_new(conf, NULL, error, sizeof(error));
    side->scene.journal = journal_new();
    side->scene.monitor = monitor_new(&loop, on_route, side);
    side->scene.history = history_new(&side->scene);
    assert(side->scene.settings && side->scene.journal && side->scene.monitor && side->scene.history);
    bool started = scene_start(&side->scene);
    assert(started);
}

/* One that nobody uses now. */
static struct sockaddr_in free_address(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert(!bind(fd, (struct sockaddr *)&address, sizeof(address)));
    assert(!getsockname(fd, (struct sockaddr *)&address, &(socklen_t){sizeof(address)}));
    close(fd);
    return address;
}

static void open_port(struct side *side)
{
    char text[32];
    struct http_places places = {.address = text, .unix_socket = side->local.sun_path};

    side->tcp = free_address();
    snprintf(text, sizeof(text), "127.0.0.1:%u", ntohs(side->tcp.sin_port));
    side->local.sun_family = AF_UNIX;
    snprintf(side->local.sun_path, sizeof(side->local.sun_path), "/tmp/fuzz-stats-%d-%d", (int)getpid(),
             (int)(side - sides));
    side->http = http_new(&side->scene, &places);
    assert(side->http);
}

static void remove_paths(void)
{
    for (int i = 0; i < 2; i++)
        unlink(sides[i].local.sun_path);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    signal(SIGPIPE, SIG_IGN);
    log_setup(LOG_ERROR, false);
    assert(loop_init(&loop));
    for (int i = 0; i < 2; i++) {
        build_scene(&sides[i], i);
        open_port(&sides[i]);
    }
    atexit(remove_paths);
    return 0;
}

/* --- one visit --- */

static void turn(void)
{
    for (int i = 0; i < 3; i++)
        event_base_loop(loop.base, EVLOOP_NONBLOCK);
}

static size_t drain(int fd, char *answer, size_t len)
{
    ssize_t n;

    while (len < ANSWER_MAX - 1 && (n = recv(fd, answer + len, ANSWER_MAX - 1 - len, MSG_DONTWAIT)) > 0)
        len += (size_t)n;
    return len;
}

/* What came back of `data` given in pieces of `step` bytes. */
static size_t visit(const struct side *side, bool local, const uint8_t *data, size_t size, size_t step, char *answer)
{
    const struct sockaddr *address = local ? (const void *)&side->local : (const void *)&side->tcp;
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t len = 0, before = 0;

    assert(fd >= 0 && !connect(fd, address, local ? sizeof(side->local) : sizeof(side->tcp)));
    if (!local) /* no piece may wait for an ACK, or the turns end before it comes */
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    for (size_t at = 0; at < size; at += step) {
        if (send(fd, data + at, step < size - at ? step : size - at, MSG_NOSIGNAL) < 0)
            break;
        turn();
        len = drain(fd, answer, len);
    }
    for (int idle = 0; idle < IDLE_TURNS; idle = len == before ? idle + 1 : 0) {
        before = len;
        turn();
        len = drain(fd, answer, len);
    }
    close(fd);
    turn();
    answer[len] = 0;
    return len;
}

/* --- what must hold --- */

static bool is_ours(int status)
{
    static const int known[] = {100, 200, 400, 403, 404, 405, 409, 413, 417, 501, 503};

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (known[i] == status)
            return true;
    return false;
}

/* Bodies tell the time and how often somebody asked, so only the statuses must be alike. */
static unsigned statuses(const char *answer, int found[STATUSES_MAX])
{
    unsigned n = 0;

    for (const char *at = answer; (at = strstr(at, "HTTP/1.")) && n < STATUSES_MAX; at++)
        if (at == answer || at[-1] == '\n' || at[-1] == '}' || at[-1] == '>')
            found[n++] = atoi(at + strcspn(at, " ")); /* evhttp repeats the version it was given, be it 1.114 */
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char answer[ANSWER_MAX];
    int whole[STATUSES_MAX], pieces[STATUSES_MAX];

    if (size < 2 || size > INPUT_MAX)
        return 0;
    bool local = data[0] & 1, admin = data[0] & 2;
    const struct side *side = &sides[admin];
    unsigned before = orders_given;
    visit(side, local, data + 1, size - 1, size, answer);
    unsigned n = statuses(answer, whole);
    for (unsigned i = 0; i < n; i++)
        assert(is_ours(whole[i]));
    assert(local || admin || orders_given == before);
    assert(orders_given == before || memmem(data, size, "POST", 4));
    visit(side, local, data + 1, size - 1, 1 + data[0] / 4 % 8, answer);
    assert(statuses(answer, pieces) == n && !memcmp(whole, pieces, n * sizeof(whole[0])));
    return 0;
}
