/*
 * Companion keys: what a limiter keeps beside a client's key K lies under names of its own in the same cluster slot, as
 * rg:{tag}:<letter>:K, where tag is a word that hashes to K's slot. Wrapping K itself in braces would be wrong for a
 * key that holds a brace. Constant tables, shared by all threads, nothing to free. Rule: Redis Cluster Specification,
 * keys distribution model and hash tags.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SLOT_COUNT = 16384, SLOT_TAG_LEN = 3 };

/* Bits, so that one entry can ask for several of a key's names; they are written in this order. */
enum companion_kind {
    COMPANION_NONE = 1 << 0,  /* the client's key itself */
    COMPANION_META = 1 << 1,  /* M: a semaphore's fences, slots and weights */
    COMPANION_QUEUE = 1 << 2, /* Q: tickets of a fair semaphore's waiters */
    COMPANION_WAIT = 1 << 3,  /* D: until when each waiter is believed to wait */
    COMPANION_HELD = 1 << 4,  /* P: reservations */
    COMPANION_IDEM = 1 << 5,  /* the reply of a call with an id; the name holds key and id */
    COMPANION_BACK = 1 << 6,  /* the same of a refund, which may have the id of the call that it takes back */
};

enum { COMPANION_KINDS = 7, COMPANION_PREFIX_MAX = 40 };

static inline bool companion_has_id(enum companion_kind kind)
{
    return kind == COMPANION_IDEM || kind == COMPANION_BACK;
}

/* CRC16 (XMODEM) of the bytes. */
uint16_t companion_crc16(const uint8_t *bytes, size_t len);

/* The cluster slot of a key: of what stands between its first { and the next }, if there is anything, else of all. */
uint16_t companion_slot(const uint8_t *key, size_t len);

/* The word of SLOT_TAG_LEN bytes, without a NUL, that hashes to the slot. */
const char *companion_tag(uint16_t slot);

/*
 * Writes what stands before the client's key in a companion's name; returns its length. Of COMPANION_IDEM and
 * COMPANION_BACK the name is this, key and id: the prefix holds key_len, so that no two pairs of key and id share a
 * name.
 */
size_t companion_prefix(char prefix[COMPANION_PREFIX_MAX], enum companion_kind kind, uint16_t slot, size_t key_len);
