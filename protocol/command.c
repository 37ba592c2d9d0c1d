#include "protocol/command.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

/* A name for comparing: its first and last eight bytes in upper case. They overlap, and up to 16 bytes they are all. */
struct command_key {
    uint64_t head, tail;
    uint16_t parent; /* of a subcommand: its container's row + 1; else 0 */
    uint8_t len;
};

#include "protocol/command_table.inc"

static inline uint64_t load64(const uint8_t *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return le64toh(word);
}

static inline uint64_t load32(const uint8_t *p)
{
    uint32_t word;
    memcpy(&word, p, sizeof word);
    return le32toh(word);
}

/* a-z to A-Z in eight bytes at once. Bytes above 127 stay above it, which no name in the table has. */
static inline uint64_t upper(uint64_t word)
{
    const uint64_t each = UINT64_C(0x0101010101010101);
    uint64_t low = word & (0x7f * each);
    uint64_t from_a = low + (0x80 - 'a') * each; /* high bit where the byte is 'a' or above */
    uint64_t past_z = low + (0x7f - 'z') * each;
    uint64_t letters = from_a & ~past_z & (0x80 * each);

    return word - (letters >> 2); /* 0x80 >> 2 is the distance from 'a' to 'A' */
}

/* The same as head_and_tail() in gen_command_table.py. */
static inline struct command_key key_of(const uint8_t *name, size_t len, uint16_t parent)
{
    struct command_key key = {0, 0, parent, (uint8_t)len};

    if (len >= 8) {
        key.head = upper(load64(name));
        key.tail = upper(load64(name + len - 8));
    } else if (len >= 4) {
        key.head = upper(load32(name) | load32(name + len - 4) << 32);
    } else {
        key.head = upper(name[0] | (uint64_t)name[len / 2] << 8 | (uint64_t)name[len - 1] << 16);
    }
    return key;
}

/* The same as slot_of() in gen_command_table.py. */
static inline size_t slot_of(const struct command_key *key)
{
    uint64_t tail = key->tail << 23 | key->tail >> 41;
    uint64_t mixed = key->head ^ tail ^ ((uint64_t)key->parent << 8 | key->len);

    return (size_t)(mixed * SLOT_MULTIPLIER >> (64 - SLOT_BITS));
}

/* What lies between the first and the last eight bytes of a name above 16 bytes. */
static bool same_middle(const struct command *command, uint16_t parent, const uint8_t *name, size_t len)
{
    const char *known = parent ? command->subcommand : command->name;

    for (size_t i = 8; i + 8 < len; i += 8) {
        if (upper(load64(name + i)) != load64((const uint8_t *)known + i)) {
            return false;
        }
    }
    return true;
}

static inline const struct command *find(uint16_t parent, const uint8_t *name, size_t len)
{
    if (len - 1 >= LONGEST_NAME) {
        return NULL;
    }
    struct command_key key = key_of(name, len, parent);
    for (size_t slot = slot_of(&key); slots[slot] != NO_ROW; slot = (slot + 1) & ((1 << SLOT_BITS) - 1)) {
        const struct command_key *row = &keys[slots[slot]];

        if (row->head == key.head && row->tail == key.tail && row->parent == parent && row->len == key.len &&
            (len <= 16 || same_middle(&commands[slots[slot]], parent, name, len))) {
            return &commands[slots[slot]];
        }
    }
    return NULL;
}

const struct command *command_find(const uint8_t *name, size_t name_len, const uint8_t *sub, size_t sub_len)
{
    const struct command *command = find(0, name, name_len);

    if (!command) {
        return &commands[UNKNOWN_ROW];
    }
    if (!command->subcommand || !sub) {
        return command;
    }
    const struct command *row = find((uint16_t)(command->index + 1), sub, sub_len);
    return row ? row : command;
}

bool command_arity_ok(const struct command *command, uint32_t argc)
{
    if (command->arity >= 0) {
        return command->arity == 0 || argc == (uint32_t)command->arity;
    }
    return argc >= (uint32_t)-command->arity;
}

size_t command_count(void)
{
    return sizeof commands / sizeof commands[0];
}

const struct command *command_at(size_t index)
{
    assert(index < command_count());
    return &commands[index];
}
