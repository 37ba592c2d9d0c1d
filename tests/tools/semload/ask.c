#include "semload/load.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

int64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now); /* the clock of the backend's TIME */
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* --- chance --- */

uint64_t draw(uint64_t *random)
{
    uint64_t x = *random += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */

    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

bool one_in(struct process *p, unsigned n)
{
    return draw(&p->random) % n == 0;
}

void rest_us(int64_t us)
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

/* Sends the command and hears its reply. False: nobody knows whether it ran, and it is to be sent again. */
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

bool ask_until_told(struct process *p, const char *command, int64_t *sent_us, unsigned *times)
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

bool read_fields(struct process *p, int64_t fields[FIELDS])
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
