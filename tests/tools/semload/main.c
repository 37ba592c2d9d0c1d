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
#include "semload/load.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct shared *shared;
struct sockaddr_in address;
bool waits, fair, slots;
unsigned processes = 64;

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
