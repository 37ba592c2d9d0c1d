#include "protocol/command_merge.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#include "protocol/length.h"
#include "protocol/own_command.h"

/* What every server has, for the shape of its entry. */
static const char WITNESS[] = "ping";
enum { ELEMENTS_REDIS_5 = 6, ELEMENTS_REDIS_6 = 7, ELEMENTS_REDIS_7 = 10 };

static bool is_word(const uint8_t *bytes, size_t len, const char *word)
{
    return len == strlen(word) && strncasecmp((const char *)bytes, word, len) == 0;
}

/* The next name's command when it is to be told of; OWN_NONE when not. False: no name is left. */
static bool next_name(const struct command_merge *merge, struct request_args *names, int *own)
{
    const uint8_t *name;
    size_t len;

    if (!request_args_next(names, &name, &len)) {
        return false;
    }
    *own = own_command_find(name, len);
    if (*own != OWN_NONE && !(merge->mine >> *own & 1)) {
        *own = OWN_NONE;
    }
    return true;
}

/* --- the question --- */

static uint32_t named(struct request_args names)
{
    const uint8_t *name;
    uint32_t found = 0;
    size_t len;

    while (request_args_next(&names, &name, &len)) {
        int own = own_command_find(name, len);
        found |= own == OWN_NONE ? 0 : UINT32_C(1) << own;
    }
    return found;
}

/* FILTERBY MODULE name | ACLCAT category | PATTERN pattern; whatever else it is, the server will say so. */
static uint32_t filtered(struct request_args args)
{
    const uint8_t *word, *filter, *value;
    size_t word_len, filter_len, len;

    if (args.left == 0) {
        return OWN_ALL;
    }
    if (args.left != 3 || !request_args_next(&args, &word, &word_len) || !is_word(word, word_len, "FILTERBY") ||
        !request_args_next(&args, &filter, &filter_len) || !request_args_next(&args, &value, &len)) {
        return 0;
    }
    if (is_word(filter, filter_len, "PATTERN")) {
        return own_commands_like(value, len);
    }
    return is_word(filter, filter_len, "ACLCAT") ? own_commands_in(value, len) : 0;
}

bool command_merge_start(struct command_merge *merge, const struct command *row, const uint8_t *call, size_t len,
                         unsigned resp)
{
    struct request_args args;
    const uint8_t *word;
    size_t word_len;

    request_args_start(&args, call, len);
    uint32_t argc = args.left;
    request_args_next(&args, &word, &word_len);
    request_args_next(&args, &word, &word_len);
    *merge = (struct command_merge){.resp = resp, .elements = ELEMENTS_REDIS_7, .mine = OWN_ALL, .names = args};
    switch (row->id) {
    case CMD_COMMAND_ANY:
        merge->topic = MERGE_INFO;
        return argc == 1;
    case CMD_COMMAND_COUNT:
        merge->topic = MERGE_COUNT;
        return argc == 2;
    case CMD_COMMAND_INFO:
    case CMD_COMMAND_DOCS:
        merge->topic = row->id == CMD_COMMAND_INFO ? MERGE_INFO : MERGE_DOCS;
        merge->by_name = argc > 2;
        merge->bare_info = row->id == CMD_COMMAND_INFO && argc == 2;
        merge->mine = merge->by_name ? named(args) : OWN_ALL;
        break;
    case CMD_COMMAND_LIST:
        merge->topic = MERGE_LIST;
        merge->mine = filtered(args);
        break;
    default:
        return false;
    }
    return merge->mine != 0;
}

/* --- what the server knows --- */

void command_merge_ask(struct reply_writer *w)
{
    reply_array(w, 3 + OWN_COMMANDS); /* a request is an array of bulks, too */
    reply_bulk(w, "COMMAND", strlen("COMMAND"));
    reply_bulk(w, "INFO", strlen("INFO"));
    reply_bulk(w, WITNESS, strlen(WITNESS));
    for (unsigned i = 0; i < OWN_COMMANDS; i++) {
        own_entry_name(w, i);
    }
}

/* `$-1`, `*-1` or `_`. */
static bool is_null(const uint8_t *bytes, size_t len)
{
    return bytes[0] == '_' || (len > 1 && bytes[1] == '-' && (bytes[0] == '$' || bytes[0] == '*'));
}

/* Entries may have got longer since: those of Redis 7 are the longest that we can tell. */
static unsigned known_shape(uint64_t elements)
{
    if (elements >= ELEMENTS_REDIS_7) {
        return ELEMENTS_REDIS_7;
    }
    return elements >= ELEMENTS_REDIS_6 ? ELEMENTS_REDIS_6 : ELEMENTS_REDIS_5;
}

void command_merge_learn(struct command_merge *merge, const uint8_t *bytes, size_t len)
{
    uint64_t n, elements = 0;
    uint32_t has = 0;
    int line = bytes[0] == '*' ? length_read(bytes, len, &n) : LENGTH_BAD;

    if (line <= 0 || n != 1 + OWN_COMMANDS) {
        return;
    }
    bytes += line;
    len -= (size_t)line;
    for (unsigned i = 0; i <= OWN_COMMANDS; i++) {
        struct reply_scan scan = {0};

        if (reply_scan(&scan, bytes, len, &reply_limits_default) != RESP_DONE) {
            return;
        }
        if (i == 0 && bytes[0] == '*' && !is_null(bytes, len) && length_read(bytes, len, &elements) > 0) {
            merge->elements = known_shape(elements);
        } else if (i > 0 && !is_null(bytes, len)) {
            has |= UINT32_C(1) << (i - 1);
        }
        bytes += scan.pos;
        len -= (size_t)scan.pos;
    }
    merge->mine &= ~has;
    if (merge->bare_info && merge->elements < ELEMENTS_REDIS_7) {
        merge->mine = 0;
    }
}

/* --- the answer --- */

bool command_merge_is_all_ours(const struct command_merge *merge)
{
    struct request_args names = merge->names;
    int own;

    while (merge->by_name && next_name(merge, &names, &own)) {
        if (own == OWN_NONE) {
            return false;
        }
    }
    return merge->by_name;
}

static void put_own(const struct command_merge *merge, unsigned own)
{
    uint8_t bytes[OWN_ENTRY_MAX];
    struct reply_writer w = {.bytes = bytes, .cap = sizeof bytes};

    switch (merge->topic) {
    case MERGE_INFO:
        own_entry_info(&w, own, merge->resp, merge->elements);
        break;
    case MERGE_DOCS:
        own_entry_docs(&w, own, merge->resp);
        break;
    default:
        own_entry_name(&w, own);
        break;
    }
    assert(!w.full);
    merge->put(merge->to, bytes, w.len);
}

/* How many entries of ours come behind the server's; also puts them when `put`. */
static uint64_t added(const struct command_merge *merge, bool put)
{
    struct request_args names = merge->names;
    uint64_t n = 0;
    int own;

    for (int i = 0; !merge->by_name && i < OWN_COMMANDS; i++) {
        if (merge->mine >> i & 1) {
            n++;
            if (put) {
                put_own(merge, (unsigned)i);
            }
        }
    }
    while (merge->by_name && next_name(merge, &names, &own)) {
        if (own != OWN_NONE) {
            n++;
            if (put) {
                put_own(merge, (unsigned)own);
            }
        }
    }
    return n;
}

static void put_head(const struct command_merge *merge, char type, uint64_t n)
{
    uint8_t bytes[32];
    struct reply_writer w = {.bytes = bytes, .cap = sizeof bytes};

    reply_integer(&w, (int64_t)n);
    bytes[0] = (uint8_t)type;
    merge->put(merge->to, bytes, w.len);
}

/* One element for each name that is left: ours, or a null. */
static void put_each_name(struct command_merge *merge)
{
    uint8_t null[8];
    struct reply_writer w = {.bytes = null, .cap = sizeof null};
    int own;

    reply_null(&w, merge->resp);
    while (next_name(merge, &merge->names, &own)) {
        if (own == OWN_NONE) {
            merge->put(merge->to, null, w.len);
        } else {
            put_own(merge, (unsigned)own);
        }
    }
}

void command_merge_alone(struct command_merge *merge)
{
    bool is_map = merge->topic == MERGE_DOCS && merge->resp >= 3;
    uint64_t n = added(merge, false);

    if (merge->topic == MERGE_INFO && merge->by_name) {
        put_head(merge, '*', merge->names.left);
        put_each_name(merge);
        return;
    }
    put_head(merge, is_map ? '%' : '*', merge->topic == MERGE_DOCS && !is_map ? 2 * n : n);
    added(merge, true);
}

/* How many bytes of the head are replaced; the state is what the rest is for. */
static size_t take_head(struct command_merge *merge, const uint8_t *bytes, size_t len)
{
    bool is_map = bytes[0] == '%';
    bool aggregate = bytes[0] == '*' || bytes[0] == '~' || (is_map && merge->topic == MERGE_DOCS);
    uint64_t n, grows;
    int line = aggregate || bytes[0] == ':' ? length_read(bytes, len, &n) : LENGTH_BAD;

    merge->state = MERGE_PASS;
    if ((line > 0 && aggregate && n == 0 && merge->topic != MERGE_COUNT) ||
        (merge->topic == MERGE_INFO && reply_is_unknown_command(bytes, len))) {
        merge->state = MERGE_DROP;
        command_merge_alone(merge);
        return len;
    }
    if (line <= 0 || (merge->topic == MERGE_COUNT) == aggregate) {
        return 0;
    }
    if (merge->topic == MERGE_INFO && merge->by_name) {
        merge->state = n == merge->names.left ? MERGE_PLACE : MERGE_PASS;
        put_head(merge, (char)bytes[0], n);
        return (size_t)line;
    }
    grows = added(merge, false);
    if (merge->topic == MERGE_DOCS && !is_map) {
        grows *= 2;
    }
    put_head(merge, (char)bytes[0], n + grows);
    merge->state = aggregate ? MERGE_APPEND : MERGE_DROP;
    return (size_t)line;
}

/* The part of one element that there is; the number of its bytes. */
static size_t place(struct command_merge *merge, const uint8_t *bytes, size_t len)
{
    uint64_t before = merge->element.pos;
    int own;

    if (before == 0) {
        merge->replaced = next_name(merge, &merge->names, &own) && own != OWN_NONE && is_null(bytes, len);
        if (merge->replaced) {
            put_own(merge, (unsigned)own);
        }
    }
    enum resp_status status = reply_scan(&merge->element, bytes, len, &reply_limits_default);
    size_t n = (size_t)(merge->element.pos - before);

    assert(status == RESP_DONE || n == len);
    if (!merge->replaced) {
        merge->put(merge->to, bytes, n);
    }
    if (status == RESP_DONE) {
        reply_scan_reset(&merge->element);
    }
    return n;
}

void command_merge_feed(struct command_merge *merge, const uint8_t *bytes, size_t len, bool last)
{
    size_t used = merge->state == MERGE_HEAD ? take_head(merge, bytes, len) : 0;

    while (merge->state == MERGE_PLACE && used < len) {
        used += place(merge, bytes + used, len - used);
    }
    if ((merge->state == MERGE_PASS || merge->state == MERGE_APPEND) && used < len) {
        merge->put(merge->to, bytes + used, len - used);
    }
    if (merge->state == MERGE_APPEND && last) {
        added(merge, true);
    }
}
