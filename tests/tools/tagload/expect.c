#include "tagload/expect.h"

#include <stdlib.h>
#include <string.h>

struct expect *expect_new(enum expect_kind kind)
{
    struct expect *e = calloc(1, sizeof(*e));

    if (!e)
        abort();
    e->kind = (uint8_t)kind;
    return e;
}

void expect_free(struct expect *e)
{
    for (unsigned i = 0; i < e->n_alternatives; i++)
        bytes_free(&e->alternative[i]);
    free(e);
}

void expect_clear(struct expect_queue *queue)
{
    struct expect *e;

    while ((e = STAILQ_FIRST(queue))) {
        STAILQ_REMOVE_HEAD(queue, link);
        expect_free(e);
    }
}

struct bytes *expect_alternative(struct expect *e, unsigned when)
{
    if (e->n_alternatives == EXPECT_ALTERNATIVES)
        abort();
    e->when[e->n_alternatives] = (uint8_t)when;
    return &e->alternative[e->n_alternatives++];
}

static bool same(const struct bytes *b, const uint8_t *p, size_t len)
{
    return bytes_len(b) == len && memcmp(bytes_front(b), p, len) == 0;
}

bool expect_allows(const struct expect *e, unsigned happened, const uint8_t *reply, size_t len)
{
    if (e->kind == EXPECT_INTEGER)
        return len > 3 && reply[0] == ':';
    for (unsigned i = 0; i < e->n_alternatives; i++) {
        const struct bytes *b = &e->alternative[i];

        if (e->when[i] != WHEN_ALWAYS && !(e->when[i] & happened))
            continue;
        if (e->kind == EXPECT_CONTAINS ? memmem(reply, len, bytes_front(b), bytes_len(b)) != NULL : same(b, reply, len))
            return true;
    }
    return false;
}

static bool starts_with(const uint8_t *p, size_t len, const char *prefix)
{
    return len >= strlen(prefix) && memcmp(p, prefix, strlen(prefix)) == 0;
}

unsigned expect_fault_of(const uint8_t *reply, size_t len)
{
    if (starts_with(reply, len, "-RGUNKNOWN "))
        return WHEN_UNKNOWN;
    if (starts_with(reply, len, "-RGUNAVAIL "))
        return WHEN_UNAVAILABLE;
    return 0;
}

bool expect_is_rgstate(const uint8_t *reply, size_t len)
{
    return starts_with(reply, len, "-RGSTATE ");
}
