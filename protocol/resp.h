/*
 * Resumable scanners for RESP2 and RESP3 (Redis serialization protocol specification): they find where a
 * request or a reply ends and whether its framing is canonical; they never copy, allocate or decode values.
 *
 * Owner: the connection whose bytes are scanned. No thread, clock or descriptor in here.
 * Feeding: `p` is the first byte the scanner has not consumed yet, i.e. start of the element + scan->pos. A scanner
 * consumes everything but an incomplete header line, so it can be fed from one growing buffer or, when an element is
 * streamed, from a buffer whose consumed part has been given away. Never more than 64 KiB of a line are left over
 * (requests), or 4 KiB (replies: a longer simple string, error, double or big number is consumed as it comes).
 *
 *   start ──> header line ──> bulk body ──> header line ──> ... ──> RESP_DONE (pos = length of the element)
 *                 │  ^            │
 *                 └──┴── RESP_MORE┘   (feed more)        any bad byte ──> RESP_ERROR
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum resp_status {
    RESP_MORE,  /* all given bytes but an incomplete header line are consumed: feed more */
    RESP_DONE,  /* the element is complete, scan->pos is its length in bytes */
    RESP_ERROR, /* framing is broken; for requests scan->error says how */
};

/* Why a request was refused. request_error_text() gives the words a Redis server uses for it. */
enum request_error {
    REQUEST_OK,
    REQUEST_BAD_MULTIBULK_LENGTH, /* `*` line is not a canonical number, or above max_args */
    REQUEST_BAD_BULK_LENGTH,      /* `$` line is not a canonical number, negative, or above max_bulk */
    REQUEST_EXPECTED_DOLLAR,      /* another byte where `$` must stand; scan->unexpected holds it */
    REQUEST_BULK_NOT_TERMINATED,  /* no CR LF behind a bulk: stricter than the server on purpose */
    REQUEST_BARE_LF,              /* LF without CR in a header line, or a NUL in any line: stricter than the server */
    REQUEST_COUNT_TOO_LONG,       /* `*` line longer than 64 KiB without an end */
    REQUEST_BULK_COUNT_TOO_LONG,  /* `$` line longer than 64 KiB without an end */
    REQUEST_INLINE_TOO_LONG,      /* inline command longer than 64 KiB without an end */
    REQUEST_UNAUTH_MULTIBULK,     /* more than 10 arguments before authentication */
    REQUEST_UNAUTH_BULK,          /* a bulk above 16384 bytes before authentication */
};

struct request_limits {
    uint32_t max_args; /* most arguments in one command */
    uint64_t max_bulk; /* bytes, proto-max-bulk-len */
    bool authenticated;
};

/* Where an argument's bytes lie, counted from the first byte of its command. */
struct request_arg {
    uint32_t off;
    uint32_t len; /* saturates at UINT32_MAX for a bulk above 4 GiB, which max_bulk forbids anyway */
};

struct request_scan {
    uint64_t pos;              /* bytes of this command consumed so far */
    uint64_t skip;             /* bytes of the current bulk, with its CR LF, still to come */
    uint32_t argc;             /* arguments announced; 0 until the `*` line is read (and for empty commands) */
    uint32_t args_left;        /* arguments whose `$` line was not read yet */
    struct request_arg arg[2]; /* command name and first argument; valid once request_has_arg() says so */
    enum request_error error;
    char unexpected;   /* for REQUEST_EXPECTED_DOLLAR */
    uint8_t is_inline; /* the command does not start with `*`: pos is its length with the line end */
};

/* A zeroed scan is a fresh one. */
void request_scan_reset(struct request_scan *scan);

/*
 * Consumes bytes of one command. For an inline command RESP_DONE means that its whole line is there (LF or CR LF
 * ended); inline_to_array() takes it from there. `*0` and `*-1` (any canonical negative count) are complete commands
 * with argc == 0.
 */
enum resp_status request_scan(struct request_scan *scan, const uint8_t *p, size_t len,
                              const struct request_limits *limits);

/* True when argument n (0 or 1) lies complete within the consumed bytes. */
bool request_has_arg(const struct request_scan *scan, unsigned n);

/* "invalid multibulk length" and so on, without "-ERR Protocol error: "; for REQUEST_EXPECTED_DOLLAR a byte is added by
 * reply_protocol_error(). */
const char *request_error_text(enum request_error error);

/* Walks the arguments of one complete, canonical command (`*...`). */
struct request_args {
    const uint8_t *p, *end;
    uint32_t left;
};
void request_args_start(struct request_args *args, const uint8_t *command, size_t len);
/* False when there is no further argument. The bytes stay the caller's. */
bool request_args_next(struct request_args *args, const uint8_t **arg, size_t *len);

/*
 * One reply. Pushes (`>`) and attributes (`|`, which count as no element) are handled; an attribute is part of the
 * element it precedes. Two integers hold the state at any depth.
 */
struct reply_scan {
    uint64_t pos;  /* bytes of this reply consumed so far */
    uint64_t skip; /* bytes of the current bulk, with its CR LF, still to come */
    uint64_t left; /* values still owed */
    uint8_t type;  /* first byte of the reply (`>` for a push) behind its attributes; 0 until seen */
    bool started;
};

struct reply_limits {
    uint64_t max_values; /* most values owed at one time, at any depth together */
    uint64_t max_bulk;   /* bytes of one bulk, verbatim or blob error */
    uint32_t max_line;   /* bytes of one simple line; a length line ends by itself after 19 digits */
};
extern const struct reply_limits reply_limits_default;

void reply_scan_reset(struct reply_scan *scan);
enum resp_status reply_scan(struct reply_scan *scan, const uint8_t *p, size_t len, const struct reply_limits *limits);

/* Whether a reply's bytes start with this, for telling errors apart: "-NOAUTH". */
bool reply_starts_with(const uint8_t *bytes, size_t len, const char *start);
/* Whether it is an error that means there is no such command at all: in the words of Redis, or of Upstash. */
bool reply_is_unknown_command(const uint8_t *bytes, size_t len);
