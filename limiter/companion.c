#include "limiter/companion.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "limiter/slot_tags.inc"

_Static_assert(sizeof slot_tags == SLOT_COUNT * SLOT_TAG_LEN, "a tag for each slot");

uint16_t companion_crc16(const uint8_t *bytes, size_t len)
{
    uint16_t crc = 0;

    for (size_t i = 0; i < len; i++)
        crc = (uint16_t)(crc << 8 ^ crc16_of_byte[(crc >> 8 ^ bytes[i]) & 0xff]);
    return crc;
}

uint16_t companion_slot(const uint8_t *key, size_t len)
{
    const uint8_t *open = memchr(key, '{', len);
    const uint8_t *close = open ? memchr(open, '}', len - (size_t)(open - key)) : NULL;

    if (close && close > open + 1) {
        key = open + 1;
        len = (size_t)(close - key);
    }
    return companion_crc16(key, len) % SLOT_COUNT;
}

const char *companion_tag(uint16_t slot)
{
    return slot_tags[slot % SLOT_COUNT];
}

size_t companion_prefix(char prefix[COMPANION_PREFIX_MAX], enum companion_kind kind, uint16_t slot, size_t key_len)
{
    static const char letters[COMPANION_KINDS] = {'-', 'm', 'q', 'd', 'p', 'i', 'r'};
    const char *tag = companion_tag(slot);
    char letter = letters[__builtin_ctz(kind)];
    int len;

    if (kind == COMPANION_NONE)
        return 0;
    if (companion_has_id(kind))
        len = snprintf(prefix, COMPANION_PREFIX_MAX, "rg:{%.*s}:%c:%zu:", SLOT_TAG_LEN, tag, letter, key_len);
    else
        len = snprintf(prefix, COMPANION_PREFIX_MAX, "rg:{%.*s}:%c:", SLOT_TAG_LEN, tag, letter);
    assert(len > 0 && len < COMPANION_PREFIX_MAX);
    return (size_t)len;
}
