/*
 * What the load generator says and what it must hear back, byte for byte.
 *
 * A workload is a key space whose values are known: the value of key n starts with the tag "v<n>:". So every reply is
 * known in advance but for the inside of its value, and checking is comparing with what must come: type, length, tag
 * and the closing CRLF. With WORK_FILE the requests are those of a file, and a reply is an integer, or an
 * array of them that begins in a known way. Owner: main; read-only once built; no sockets in here.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum workload { WORK_GET, WORK_SET, WORK_GETSET, WORK_MGET10, WORK_EVALSHA, WORK_CONNECT, WORK_BIG, WORK_FILE };

enum {
    MGET_KEYS = 10,
    KEYS_MAX = 10000000,
    VALUE_MIN = 16,
    /* Longer values are never copied into a request: they are sent from the one shared `value_tail`. */
    INLINE_VALUE_MAX = 16384,
    SHA_LEN = 40,
};

#define BENCH_SCRIPT "return redis.call('GET', KEYS[1])"

struct wire {
    enum workload workload;
    uint32_t keys;
    size_t value_len;
    char sha[SHA_LEN + 1]; /* of BENCH_SCRIPT, as the backend named it */
    char bulk_header[16];  /* "$16\r\n" for a value of 16 bytes */
    size_t bulk_header_len;
    char *value_tail; /* the value after its tag, then CRLF */
    size_t value_tail_len;
    char *file;       /* WORK_FILE: its requests, `keys` of them */
    size_t *file_at;  /* where each begins, and where the last one ends */
    size_t file_most; /* the longest */
    char start[32];   /* what each reply begins with, such as "*8\r\n:1\r\n" */
    unsigned lines;   /* of each reply */
};

/* One request in flight: which key it names and whether it writes. */
struct ask {
    uint32_t key;
    bool write;
};

enum heard { HEARD_MORE, HEARD_REPLY, HEARD_ERROR_REPLY, HEARD_WRONG };

/* How far the reply to one ask has been checked. All zero: at its first byte. */
struct hearing {
    size_t pos;     /* bytes of the current value seen */
    unsigned value; /* index of the current value; an array's header counts as one */
    bool error_reply;
};

void wire_init(struct wire *wire, enum workload workload, uint32_t keys, size_t value_len);
/* Takes the requests of a file in place of all that; `start` is what each reply begins with, a blank for CRLF:
 * "*8 :1" or ":". */
bool wire_use_file(struct wire *wire, const char *path, const char *start);
void wire_finish(struct wire *wire);

/* Room that `wire_ask` may need for one request. */
size_t wire_ask_max(const struct wire *wire);

/* The ask number `sequence` of a client: alternates where the workload does. */
struct ask wire_choose(const struct wire *wire, uint64_t sequence, uint32_t random);

/* Writes the request; a SET of a long value stops before `value_tail`, which the caller sends from where it is. */
size_t wire_ask(const struct wire *wire, struct ask ask, char *out);
bool wire_has_tail(const struct wire *wire, struct ask ask);

/* Checks the next bytes of the reply to `ask`; `used` tells how many belonged to it. */
enum heard wire_hear(const struct wire *wire, struct ask ask, struct hearing *hearing, const char *bytes, size_t len,
                     size_t *used);
