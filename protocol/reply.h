/*
 * Replies that the proxy itself originates, as text and as encoders. All texts a client can see stand in reply.c, so
 * that they can be compared with the server's in one place. Encoders append to a caller's fixed array and never
 * allocate.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/resp.h"

/* A bounded writer. When something does not fit, `full` is set and nothing more is written. */
struct reply_writer {
    uint8_t *bytes;
    size_t cap, len;
    bool full;
};

void reply_raw(struct reply_writer *w, const void *bytes, size_t len);
void reply_simple(struct reply_writer *w, const char *text);            /* +text */
void reply_error(struct reply_writer *w, const char *text);             /* -text; CR, LF in it become blanks */
void reply_integer(struct reply_writer *w, int64_t n);                  /* :n */
void reply_bulk(struct reply_writer *w, const void *bytes, size_t len); /* $len */
void reply_array(struct reply_writer *w, size_t n);                     /* *n */
void reply_map(struct reply_writer *w, unsigned resp, size_t pairs);    /* %pairs in RESP3, *2*pairs in RESP2 */
void reply_set(struct reply_writer *w, unsigned resp, size_t n);        /* ~n in RESP3, *n in RESP2 */
void reply_push(struct reply_writer *w, unsigned resp, size_t n);       /* >n in RESP3, *n in RESP2 */
void reply_null(struct reply_writer *w, unsigned resp);                 /* _ in RESP3, $-1 in RESP2 */
void reply_verbatim(struct reply_writer *w, unsigned resp, const void *text, size_t len); /* =txt: or a bulk */

/* "-ERR Protocol error: ..." in the server's words for the scan's error. */
void reply_protocol_error(struct reply_writer *w, const struct request_scan *scan);

/* Texts, without the leading '-'. Formatted ones take their arguments where a %s stands. */
extern const char reply_text_noauth[];       /* NOAUTH Authentication required. */
extern const char reply_text_noauth_exec[];  /* EXECABORT Transaction discarded because of: NOAUTH ... */
extern const char reply_text_noauth_hello[]; /* NOAUTH HELLO must be called with the client already ... */
extern const char reply_text_wrongpass[];
extern const char reply_text_auth_no_password[];
extern const char reply_text_noproto[];
extern const char reply_text_bad_protover[]; /* ERR Protocol version is not an integer or out of range */
extern const char reply_text_bad_db[];       /* ERR DB index is out of range */
extern const char reply_text_not_integer[];  /* ERR value is not an integer or out of range */
extern const char reply_text_not_int32[];    /* ERR value is out of range, value must between ...: SELECT 99999999999 */
extern const char reply_text_bad_client_name[];
extern const char reply_text_max_clients[];
extern const char reply_text_unbalanced[]; /* ERR Protocol error: unbalanced quotes in request */
extern const char reply_text_execabort[];  /* EXECABORT Transaction discarded because of previous errors. */
extern const char reply_text_no_such_client[];
extern const char reply_text_maint_notifications[];
extern const char reply_text_rgunavail[]; /* RGUNAVAIL no backend is usable; nothing was sent, safe to retry */
extern const char
    reply_text_rgunknown[]; /* RGUNKNOWN backend connection lost after the request was sent; it may have run */
extern const char reply_text_rgstate_dataset[]; /* RGSTATE another data set is in use now; this command was not sent */
extern const char reply_text_rgstate[]; /* RGSTATE the backend connection that held this session's state is gone */
extern const char reply_text_rglimit_command[];   /* RGLIMIT command is too large to be answered here */
extern const char reply_text_rglimit_pins[];      /* RGLIMIT no backend connection is free */
extern const char reply_text_subscribed_format[]; /* ERR Can't execute '%s': only (P|S)SUBSCRIBE / ... */
extern const char reply_text_refused_format[];    /* ERR respgate: '%s' is refused by policy (see refuse-commands) */

/* The refusal of `command` by policy, lower-cased, subcommands as 'client|kill'. */
struct command;
void reply_refused(struct reply_writer *w, const struct command *command);
/* What a RESP2 connection with subscriptions answers to anything else. */
void reply_subscribed(struct reply_writer *w, const struct command *command);
