/*
 * semload: the parts of one program. main.c starts processes, kills them and has each take places; ask.c sends what
 * they ask and hears the replies, and at times loses them; oracle.c judges. Everything in `shared` is seen by all
 * processes, the rest is each one's own. Nothing is freed before the end.
 */
#pragma once

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    MAX_HOLDERS = 2,
    MOST_PROCESSES = 256,
    CLAIMS = 16, /* of one process and those in its place before it, whose leases may still run */
    LEASE_MIN_US = 50000,
    LEASE_SPREAD_US = 50000,
    MOST_SEEN = 16,
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

extern struct shared *shared;
extern struct sockaddr_in address;
extern bool waits, fair, slots;
extern unsigned processes;

/* --- ask.c --- */

int64_t now_us(void);
uint64_t draw(uint64_t *random);
bool one_in(struct process *p, unsigned n);
void rest_us(int64_t us);
/* The reply is in p->reply; sent_us is when that request was sent, times how many there were. False: all is over. */
bool ask_until_told(struct process *p, const char *command, int64_t *sent_us, unsigned *times);
bool read_fields(struct process *p, int64_t fields[FIELDS]);

/* --- oracle.c --- */

void wrong(const struct process *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Claims the place that a reply grants to a request sent at `sent_us`. */
void judge_grant(struct process *p, const int64_t fields[FIELDS], int64_t sent_us);
/* A reply says that the place is gone, which it must not be before `until_us`. */
void judge_gone(const struct process *p, const char *what, int64_t until_us);
