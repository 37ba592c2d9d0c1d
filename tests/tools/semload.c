/*
 * semload HOST PORT MODE GRANTS SEED [PROCESSES]: many processes on one semaphore, and an oracle of who holds it.
 *
 * MODE is any of `wait`, `fifo` and `slots`, joined by +, or `plain`. Each process asks for one of MAX_HOLDERS places
 * with a token of its own, holds it for a moment, renews it at times, gives it back and begins anew. At random it loses
 * a reply (it closes its connection after sending, and asks again with the same token), and at random its parent kills
 * it (SIGKILL) and starts another in its place. Ends after GRANTS grants.
 *
 * A process claims its place, in memory that all share, from the arrival of the grant until just before it sends
 * SEM.RELEASE, or until the lease ends; the claim of a killed one stays until then, as the lease does. A lease of L
 * ends not before L after the request that asked for it was sent, nor before L after its fence, which is the backend's
 * clock at the grant (the same clock, on one machine). So claims are within leases, and what is wrong with claims is
 * wrong with leases: more than MAX_HOLDERS of them, two of one slot, a fence that does not rise in its slot, or a place
 * that is gone before its claim ends. Each is told on stderr, and the exit code is 1.
 *
 * The last line on stdout: grants=N already=N denied=N renewed=N released=N lost=N killed=N unavailable=N most=N
 * wrong=N
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    MAX_HOLDERS = 2,
    MOST_PROCESSES = 256,
    CLAIMS = 16, /* of one process and those in its place before it, whose leases may still run */
    LEASE_MIN_US = 50000,
    LEASE_SPREAD_US = 50000,
    WAIT_MS = 300,
    FIELDS = 10,
    KILL_PAUSE_US = 15000, /* between two kills, on average */
    STALL_S = 20,
    REPLY_ROOM = 1024,
};

enum field { GRANTED, LEFT_MS = 3, FENCE, SLOT, ALREADY, RETRY_MS, REASON = 9 };

/* until_us 0: none. Written by its process only. */
struct claim {
    _Atomic int64_t until_us, slot;
};

#define COUNTS(X)                                                                                                      \
    X(grants) X(already) X(denied) X(renewed) X(released) X(lost) X(killed) X(unavailable) X(most) X(wrong)

struct shared {
    struct claim claims[MOST_PROCESSES][CLAIMS];
    _Atomic int64_t fences[MAX_HOLDERS]; /* the greatest that was seen of a slot */
    _Atomic bool over;
#define X(name) _Atomic uint64_t name;
    COUNTS(X)
#undef X
};

struct process {
    unsigned number, generation;
    uint64_t random;
    int fd; /* -1: not connected */
    struct claim *claim;
    int64_t lease_us;
    char token[48];
    char reply[REPLY_ROOM];
};

static struct shared *shared;
static struct sockaddr_in address;
static bool waits, fair, slots;
static unsigned processes = 64;

static int64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now); /* the clock of the backend's TIME */
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void __attribute__((format(printf, 2, 3))) wrong(const struct process *p, const char *format, ...)
{
    char line[256];
    int len = snprintf(line, sizeof(line), "%s: ", p->token);
    va_list arguments;

    va_start(arguments, format);
    len += vsnprintf(line + len, sizeof(line) - (size_t)len - 1, format, arguments);
    va_end(arguments);
    line[len++] = '\n';
    shared->wrong++;
    if (write(STDERR_FILENO, line, (size_t)len) != len)
        _exit(2);
}

/* --- chance --- */

static uint64_t draw(uint64_t *random)
{
    uint64_t x = *random += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */

    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static bool one_in(struct process *p, unsigned n)
{
    return draw(&p->random) % n == 0;
}

static void rest_us(int64_t us)
{
    struct timespec time = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};

    nanosleep(&time, NULL);
}

/* --- asking --- */

static void hang_up(struct process *p)
{
    close(p->fd);
    p->fd = -1;
}

static void call_up(struct process *p)
{
    struct timeval patience = {.tv_sec = STALL_S};
    int one = 1;

    while (p->fd < 0 && !shared->over) {
        p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(p->fd, (struct sockaddr *)&address, sizeof(address)) == 0)
            break;
        hang_up(p);
        rest_us(1000);
    }
    setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    setsockopt(p->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
}

static unsigned lines_of(const char *reply)
{
    return *reply == '*' ? 1 + (unsigned)strtoul(reply + 1, NULL, 10) : 1;
}

/* Reads one reply of integers, or of one line. False: the connection is gone. */
static bool hear(struct process *p)
{
    size_t len = 0;
    unsigned lines = 0;

    while (len < REPLY_ROOM - 1) {
        ssize_t n = recv(p->fd, p->reply + len, REPLY_ROOM - 1 - len, 0);
        if (n <= 0) {
            if (n < 0 && errno == EAGAIN)
                wrong(p, "no reply for %d s", STALL_S);
            return false;
        }
        for (ssize_t i = 0; i < n; i++)
            lines += p->reply[len + (size_t)i] == '\n';
        len += (size_t)n;
        p->reply[len] = 0;
        if (lines && lines == lines_of(p->reply))
            return true;
    }
    wrong(p, "a reply that is too long: %.60s", p->reply);
    return false;
}

/*
 * Sends the command and hears its reply. False: nobody knows whether it ran, and it is to be sent again. *first tells
 * whether it was sent for the first time.
 */
static bool try_ask(struct process *p, const char *command)
{
    size_t len = strlen(command);

    if (p->fd < 0)
        call_up(p);
    if (p->fd < 0)
        return false;
    if (send(p->fd, command, len, MSG_NOSIGNAL) != (ssize_t)len) {
        hang_up(p);
        return false;
    }
    if (one_in(p, 20)) {
        rest_us((int64_t)(draw(&p->random) % 2000)); /* so that it may or may not have run */
        hang_up(p);
        shared->lost++;
        return false;
    }
    if (!hear(p)) {
        hang_up(p);
        return false;
    }
    if (!strncmp(p->reply, "-RGUN", 5)) {
        shared->unavailable++;
        rest_us(2000);
        return false;
    }
    if (*p->reply == '-')
        wrong(p, "an error: %.100s", p->reply);
    return *p->reply != '-';
}

static bool ask_until_told(struct process *p, const char *command, int64_t *sent_us, unsigned *times)
{
    *times = 0;
    while (!shared->over) {
        *sent_us = now_us();
        (*times)++;
        if (try_ask(p, command))
            return true;
    }
    return false;
}

static bool read_fields(struct process *p, int64_t fields[FIELDS])
{
    char *at = p->reply;

    if (strncmp(at, "*10\r\n", 5)) {
        wrong(p, "SEM.ACQUIRE says %.60s", p->reply);
        return false;
    }
    for (unsigned i = 0; i < FIELDS; i++) {
        at = strchr(at, '\n') + 1;
        if (*at != ':') {
            wrong(p, "SEM.ACQUIRE says %.60s", at);
            return false;
        }
        fields[i] = strtoll(at + 1, NULL, 10);
    }
    return true;
}

/* --- the oracle --- */

static void judge_holders(const struct process *p)
{
    int64_t now = now_us();
    unsigned holders = 0, of_slot = 0;

    for (unsigned i = 0; i < processes * CLAIMS; i++) {
        const struct claim *claim = &shared->claims[i / CLAIMS][i % CLAIMS];
        if (claim->until_us <= now)
            continue;
        holders++;
        of_slot += claim->slot == p->claim->slot;
    }
    if (holders > MAX_HOLDERS)
        wrong(p, "%u holders", holders);
    if (slots && of_slot > 1)
        wrong(p, "%u holders of slot %lld", of_slot, (long long)p->claim->slot);
    for (uint64_t most = shared->most; holders > most;)
        if (atomic_compare_exchange_weak(&shared->most, &most, holders))
            break;
}

/* Of holders of a slot that follow one another the later has the greater fence. */
static void judge_fence(const struct process *p, int64_t slot, int64_t fence)
{
    int64_t last = shared->fences[slot];

    while (last < fence && !atomic_compare_exchange_weak(&shared->fences[slot], &last, fence))
        ;
    if (last >= fence && now_us() < p->claim->until_us)
        wrong(p, "slot %lld: fence %lld after %lld", (long long)slot, (long long)fence, (long long)last);
}

static void judge_grant(struct process *p, const int64_t fields[FIELDS], int64_t sent_us)
{
    int64_t asked_us = sent_us > fields[FENCE] ? sent_us : fields[FENCE];
    bool slot_is_right = slots ? fields[SLOT] >= 0 && fields[SLOT] < MAX_HOLDERS : fields[SLOT] == -1;

    if (!slot_is_right || fields[LEFT_MS] * 1000 > LEASE_MIN_US + LEASE_SPREAD_US + 1000 || fields[RETRY_MS] != -1)
        wrong(p, "granted slot %lld, %lld ms, retry %lld", (long long)fields[SLOT], (long long)fields[LEFT_MS],
              (long long)fields[RETRY_MS]);
    p->claim->slot = fields[SLOT];
    p->claim->until_us = asked_us + p->lease_us;
    judge_holders(p);
    if (slots && slot_is_right)
        judge_fence(p, fields[SLOT], fields[FENCE]);
}

/* The reply says that the place was gone already. */
static void judge_gone(const struct process *p, const char *what, int64_t until_us)
{
    if (now_us() < until_us)
        wrong(p, "%s: gone %lld us before its end", what, (long long)(until_us - now_us()));
}

/* --- one place, from asking to giving back --- */

static bool acquire(struct process *p)
{
    char command[320], lease[24], options[96];
    int64_t fields[FIELDS], sent_us;
    unsigned times;

    snprintf(options, sizeof(options), "%s%s%s", waits ? "$4\r\nWAIT\r\n$3\r\n300\r\n" : "",
             fair ? "$4\r\nFIFO\r\n" : "", slots ? "$5\r\nSLOTS\r\n" : "");
    int lease_len = snprintf(lease, sizeof(lease), "%lld", (long long)p->lease_us / 1000);
    snprintf(command, sizeof(command),
             "*%d\r\n$11\r\nSEM.ACQUIRE\r\n$4\r\nload\r\n$1\r\n%d\r\n$%d\r\n%s\r\n$%zu\r\n%s\r\n%s",
             5 + 2 * waits + fair + slots, MAX_HOLDERS, lease_len, lease, strlen(p->token), p->token, options);
    while (ask_until_told(p, command, &sent_us, &times) && read_fields(p, fields)) {
        if (fields[GRANTED]) {
            judge_grant(p, fields, sent_us);
            shared->grants++;
            shared->already += fields[ALREADY] != 0;
            return true;
        }
        shared->denied++;
        int64_t most_us = waits ? 1000 : 2000 * (1 + processes / 8);
        rest_us((int64_t)(draw(&p->random) % (uint64_t)most_us));
    }
    return false;
}

static bool renew(struct process *p)
{
    int64_t sent_us, until_us = p->claim->until_us;
    char command[160], lease[24];
    unsigned times;

    int lease_len = snprintf(lease, sizeof(lease), "%lld", (long long)p->lease_us / 1000);
    snprintf(command, sizeof(command), "*4\r\n$9\r\nSEM.RENEW\r\n$4\r\nload\r\n$%zu\r\n%s\r\n$%d\r\n%s\r\n",
             strlen(p->token), p->token, lease_len, lease);
    if (!ask_until_told(p, command, &sent_us, &times))
        return false;
    if (!strcmp(p->reply, ":0\r\n")) {
        judge_gone(p, "SEM.RENEW", until_us);
        p->claim->until_us = 0;
        return false;
    }
    if (*p->reply != ':')
        wrong(p, "SEM.RENEW says %.60s", p->reply);
    p->claim->until_us = sent_us + p->lease_us;
    shared->renewed++;
    return true;
}

static void release(struct process *p)
{
    int64_t sent_us, until_us = p->claim->until_us;
    char command[128];
    unsigned times;

    p->claim->until_us = 0;
    snprintf(command, sizeof(command), "*3\r\n$11\r\nSEM.RELEASE\r\n$4\r\nload\r\n$%zu\r\n%s\r\n", strlen(p->token),
             p->token);
    if (!ask_until_told(p, command, &sent_us, &times))
        return;
    if (!strcmp(p->reply, ":0\r\n") && times == 1)
        judge_gone(p, "SEM.RELEASE", until_us);
    else if (strcmp(p->reply, ":0\r\n") && strcmp(p->reply, ":1\r\n"))
        wrong(p, "SEM.RELEASE says %.60s", p->reply);
    shared->released++;
}

static void hold(struct process *p)
{
    rest_us((int64_t)(draw(&p->random) % 400));
    if (!one_in(p, 8))
        return;
    for (unsigned times = 1 + draw(&p->random) % 3; times && renew(p); times--)
        rest_us((int64_t)draw(&p->random) % 1000);
    if (one_in(p, 40))
        rest_us(2 * p->lease_us); /* it sleeps its lease away, and another gets the place */
}

static void __attribute__((noreturn)) live(struct process *p)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (unsigned i = 0; !shared->over; i++) {
        snprintf(p->token, sizeof(p->token), "p%u-%u-%u", p->number, p->generation, i);
        p->lease_us = (LEASE_MIN_US + (int64_t)(draw(&p->random) % LEASE_SPREAD_US)) / 1000 * 1000;
        if (!acquire(p))
            continue;
        hold(p);
        release(p);
    }
    _exit(0);
}

/* --- the parent --- */

static pid_t start(unsigned number, unsigned generation, uint64_t seed)
{
    struct process p = {.number = number, .generation = generation, .fd = -1};
    pid_t pid = fork();

    if (pid < 0) {
        perror("semload: fork");
        exit(2);
    }
    if (pid > 0)
        return pid;
    p.random = seed + number * UINT64_C(1000003) + generation * UINT64_C(7919);
    p.claim = &shared->claims[number][generation % CLAIMS];
    live(&p);
}

static bool read_mode(char *text)
{
    for (char *word = strtok(text, "+"); word; word = strtok(NULL, "+")) {
        waits |= !strcmp(word, "wait");
        fair |= !strcmp(word, "fifo");
        slots |= !strcmp(word, "slots");
        if (strcmp(word, "wait") && strcmp(word, "fifo") && strcmp(word, "slots") && strcmp(word, "plain"))
            return false;
    }
    return true;
}

/* Until there were so many grants, or none for a while. */
static void kill_and_start(pid_t pids[], uint64_t grants, uint64_t seed)
{
    unsigned generations[MOST_PROCESSES] = {0};
    uint64_t random = seed, last = 0;
    int64_t stalls_us = now_us() + STALL_S * INT64_C(1000000);

    while (shared->grants < grants && now_us() < stalls_us) {
        rest_us((int64_t)(draw(&random) % (2 * KILL_PAUSE_US)));
        unsigned number = (unsigned)(draw(&random) % processes);
        kill(pids[number], SIGKILL);
        waitpid(pids[number], NULL, 0);
        pids[number] = start(number, ++generations[number], seed);
        shared->killed++;
        if (shared->grants > last)
            stalls_us = now_us() + STALL_S * INT64_C(1000000);
        last = shared->grants;
    }
    if (shared->grants < grants) {
        fprintf(stderr, "semload: no grant for %d s\n", STALL_S);
        shared->wrong++;
    }
}

static void end_all(const pid_t pids[])
{
    int status;

    shared->over = true;
    for (unsigned i = 0; i < processes; i++) {
        waitpid(pids[i], &status, 0);
        if (!WIFEXITED(status) || WEXITSTATUS(status))
            shared->wrong++;
    }
}

int main(int argc, char **argv)
{
    pid_t pids[MOST_PROCESSES];

    processes = argc == 7 ? (unsigned)strtoul(argv[6], NULL, 10) : processes;
    if (argc < 6 || argc > 7 || !processes || processes > MOST_PROCESSES || !read_mode(argv[3])) {
        fputs("usage: semload HOST PORT plain|wait|fifo|slots[+...] GRANTS SEED [PROCESSES]\n", stderr);
        return 64;
    }
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10));
    inet_pton(AF_INET, argv[1], &address.sin_addr);
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return 2;
    uint64_t seed = strtoull(argv[5], NULL, 10);
    for (unsigned i = 0; i < processes; i++)
        pids[i] = start(i, 0, seed);
    kill_and_start(pids, strtoull(argv[4], NULL, 10), seed);
    end_all(pids);
#define X(name) printf(#name "=%llu ", (unsigned long long)shared->name);
    COUNTS(X)
#undef X
    putchar('\n');
    return shared->wrong != 0;
}
