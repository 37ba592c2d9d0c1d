/*
 * Any bytes as what a server answers to the question about our commands, and then to a client's call: a whole reply
 * becomes another whole one, the same however the server's was cut. The first byte chooses the call, the second says
 * where the first answer ends.
 */
#include <assert.h>

#include "protocol/own_command.h"
#include "tests/unit/merge_case.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const calls[][4] = {
    {"COMMAND"},
    {"COMMAND", "COUNT"},
    {"COMMAND", "INFO"},
    {"COMMAND", "LIST"},
    {"COMMAND", "DOCS"},
    {"COMMAND", "INFO", "get", "lim.try"},
    {"COMMAND", "INFO", "increx", "lim.gcra"},
    {"COMMAND", "DOCS", "lim.try", "get"},
};

static size_t encode(const char *const words[4], uint8_t *bytes, size_t cap)
{
    struct reply_writer w = {.bytes = bytes, .cap = cap};
    size_t argc = 0;

    while (argc < 4 && words[argc]) {
        argc++;
    }
    reply_array(&w, argc);
    for (size_t i = 0; i < argc; i++) {
        reply_bulk(&w, words[i], strlen(words[i]));
    }
    return w.len;
}

/* What became of the reply; nothing when it was not a whole one. */
static struct merge_output merged(const struct command_merge *fresh, const uint8_t *bytes, size_t len, struct cuts cuts)
{
    struct merge_output output = {0};
    struct command_merge merge = *fresh;

    merge.put = merge_collect;
    merge.to = &output;
    if (merge_feed(&merge, bytes, len, cuts) != RESP_DONE) {
        output.len = 0;
    }
    return output;
}

static void check(const struct command_merge *fresh, const uint8_t *bytes, size_t len)
{
    struct merge_output whole = merged(fresh, bytes, len, cuts_whole(len));
    struct merge_output cut[2] = {merged(fresh, bytes, len, cuts_each(1)),
                                  merged(fresh, bytes, len, cuts_random((uint32_t)len * 31))};

    for (int i = 0; i < 2; i++) {
        assert(cut[i].len == whole.len && (whole.len == 0 || memcmp(cut[i].bytes, whole.bytes, whole.len) == 0));
        free(cut[i].bytes);
    }
    if (whole.len > 0) {
        struct reply_scan scan = {0};
        assert(reply_scan(&scan, whole.bytes, whole.len, &reply_limits_default) == RESP_DONE && scan.pos == whole.len);
    }
    free(whole.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t call[256];
    struct command_merge merge;

    if (size < 4 || data[1] > size - 2) {
        return 0;
    }
    const char *const *words = calls[data[0] % 8];
    unsigned resp = data[0] & 0x80 ? 3 : 2;
    size_t len = encode(words, call, sizeof call), known = data[1];
    const struct command *row = command_find((const uint8_t *)words[0], strlen(words[0]), (const uint8_t *)words[1],
                                             words[1] ? strlen(words[1]) : 0);

    assert(command_merge_start(&merge, row, call, len, resp));
    if (known > 0) {
        uint8_t *answer = exact_copy(data + 2, known);
        command_merge_learn(&merge, answer, known);
        free(answer);
    }
    if (merge.mine != 0 && !command_merge_is_all_ours(&merge)) {
        check(&merge, data + 2 + known, size - 2 - known);
    }
    return 0;
}
