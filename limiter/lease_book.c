#include "limiter/lease_book.h"

#include <stdlib.h>

#include "limiter/hash.h"

#define NONE UINT32_MAX

enum { LEAST = 16 };

/* Both kinds of entries lie in one array of each, found through chains that begin in `first`. */
struct lease {
    uint64_t id; /* of key and token */
    int64_t end_us;
    uint32_t next, key;
};

struct leased_key {
    uint64_t id;
    void *of;
    uint32_t next, leases; /* no leases: it is free */
};

struct chains {
    uint32_t *first;
    uint32_t spare, used; /* a list of entries that were given back, and how many were ever in use */
};

struct lease_book {
    uint32_t capacity, count;
    struct chains leases, keys;
    struct lease *lease;
    struct leased_key *key;
};

static bool chains_init(struct chains *chains, uint32_t capacity)
{
    chains->first = malloc(capacity * sizeof chains->first[0]);
    chains->spare = NONE;
    for (uint32_t i = 0; chains->first && i < capacity; i++)
        chains->first[i] = NONE;
    return chains->first;
}

struct lease_book *lease_book_new(size_t max_bytes)
{
    size_t each = sizeof(struct lease) + sizeof(struct leased_key) + 2 * sizeof(uint32_t), n = max_bytes / each;
    struct lease_book *book = calloc(1, sizeof *book);

    if (!book)
        return NULL;
    book->capacity = n < LEAST ? LEAST : n >= NONE ? NONE - 1 : (uint32_t)n;
    book->lease = malloc(book->capacity * sizeof *book->lease);
    book->key = malloc(book->capacity * sizeof *book->key);
    bool has_leases = chains_init(&book->leases, book->capacity), has_keys = chains_init(&book->keys, book->capacity);
    if (book->lease && book->key && has_leases && has_keys)
        return book;
    lease_book_free(book);
    return NULL;
}

void lease_book_free(struct lease_book *book)
{
    if (!book)
        return;
    free(book->leases.first);
    free(book->keys.first);
    free(book->lease);
    free(book->key);
    free(book);
}

struct lease_id lease_id(uint64_t seed, const uint8_t *key, size_t key_len, const uint8_t *token, size_t token_len)
{
    uint64_t key_hash = hash_key(key, key_len, seed);

    return (struct lease_id){.key = key_hash, .token = hash_mix(key_hash, hash_key(token, token_len, seed))};
}

/* Where the chain's link to that entry stands; *link is NONE when it is not there. */
static uint32_t *lease_link(struct lease_book *book, uint64_t id)
{
    uint32_t *link = &book->leases.first[id % book->capacity];

    while (*link != NONE && book->lease[*link].id != id)
        link = &book->lease[*link].next;
    return link;
}

static uint32_t *key_link(struct lease_book *book, uint64_t id)
{
    uint32_t *link = &book->keys.first[id % book->capacity];

    while (*link != NONE && book->key[*link].id != id)
        link = &book->key[*link].next;
    return link;
}

/* A new entry's number; there is one, as no more keys than leases exist. */
static uint32_t take_key(struct lease_book *book)
{
    uint32_t at = book->keys.spare;

    if (at == NONE)
        return book->keys.used++;
    book->keys.spare = book->key[at].next;
    return at;
}

static uint32_t take_lease(struct lease_book *book)
{
    uint32_t at = book->leases.spare;

    if (at == NONE)
        return book->leases.used++;
    book->leases.spare = book->lease[at].next;
    return at;
}

static uint32_t hold_key(struct lease_book *book, uint64_t id, void *of)
{
    uint32_t *link = key_link(book, id), at = *link;

    if (at == NONE) {
        at = *link = take_key(book);
        book->key[at] = (struct leased_key){.id = id, .of = of, .next = NONE};
    }
    book->key[at].leases++;
    return at;
}

static void leave_key(struct lease_book *book, uint32_t at)
{
    struct leased_key *key = &book->key[at];

    if (--key->leases)
        return;
    *key_link(book, key->id) = key->next;
    key->next = book->keys.spare;
    book->keys.spare = at;
}

bool lease_book_hold(struct lease_book *book, struct lease_id id, void *of, int64_t end_us)
{
    uint32_t *link = lease_link(book, id.token), at = *link;

    if (at == NONE) {
        if (book->count == book->capacity)
            return false;
        book->count++;
        at = *link = take_lease(book);
        book->lease[at] = (struct lease){.id = id.token, .next = NONE, .key = hold_key(book, id.key, of)};
    }
    book->lease[at].end_us = end_us;
    return true;
}

/* The entry that a link leads to. It is free then: its key is none. */
static void drop(struct lease_book *book, uint32_t *link)
{
    uint32_t at = *link;

    *link = book->lease[at].next;
    leave_key(book, book->lease[at].key);
    book->lease[at] = (struct lease){.next = book->leases.spare, .key = NONE};
    book->leases.spare = at;
    book->count--;
}

bool lease_book_end(struct lease_book *book, struct lease_id id)
{
    uint32_t *link = lease_link(book, id.token);

    if (*link == NONE)
        return false;
    drop(book, link);
    return true;
}

static bool runs(const struct lease *lease)
{
    return lease->key != NONE;
}

size_t lease_book_end_all(struct lease_book *book, uint64_t key)
{
    uint32_t of = *key_link(book, key);
    size_t n = 0;

    for (uint32_t i = 0; of != NONE && i < book->leases.used; i++) {
        if (book->lease[i].key != of)
            continue;
        drop(book, lease_link(book, book->lease[i].id));
        n++;
    }
    return n;
}

static void forget_expired(struct lease_book *book, int64_t now_us, const struct lease_visitor *visitor)
{
    for (uint32_t i = 0; i < book->leases.used; i++) {
        struct lease *lease = &book->lease[i];

        if (!runs(lease))
            continue;
        void *of = book->key[lease->key].of;
        if (lease->end_us > now_us) {
            visitor->runs(visitor->arg, of, lease->end_us);
            continue;
        }
        drop(book, lease_link(book, lease->id));
        visitor->expired(visitor->arg, of);
    }
}

void lease_book_tick(struct lease_book *book, int64_t now_us, const struct lease_visitor *visitor)
{
    if (!book->count)
        return;
    forget_expired(book, now_us, visitor);
    for (uint32_t i = 0; i < book->keys.used; i++) {
        if (book->key[i].leases)
            visitor->held(visitor->arg, book->key[i].of, book->key[i].leases);
    }
}

void lease_book_hand_over(struct lease_book *book, void *(*map)(void *arg, void *of), void *arg)
{
    for (uint32_t i = 0; i < book->keys.used; i++) {
        if (book->key[i].leases)
            book->key[i].of = map(arg, book->key[i].of);
    }
}
