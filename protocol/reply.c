#include "protocol/reply.h"

#include <stdio.h>
#include <string.h>

#include "protocol/command.h"
#include "protocol/decimal.h"

const char reply_text_noauth[] = "NOAUTH Authentication required.";
const char reply_text_noauth_exec[] = "EXECABORT Transaction discarded because of: NOAUTH Authentication required.";
const char reply_text_noauth_hello[] =
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option "
    "can be used to authenticate the client and select the RESP protocol version at the same time";
const char reply_text_wrongpass[] = "WRONGPASS invalid username-password pair or user is disabled.";
const char reply_text_auth_no_password[] = "ERR AUTH <password> called without any password configured for the default "
                                           "user. Are you sure your configuration is correct?";
const char reply_text_noproto[] = "NOPROTO unsupported protocol version";
const char reply_text_bad_protover[] = "ERR Protocol version is not an integer or out of range";
const char reply_text_bad_db[] = "ERR DB index is out of range";
const char reply_text_not_integer[] = "ERR value is not an integer or out of range";
const char reply_text_not_int32[] = "ERR value is out of range, value must between -2147483648 and 2147483647";
const char reply_text_bad_client_name[] = "ERR Client names cannot contain spaces, newlines or special characters.";
const char reply_text_max_clients[] = "ERR max number of clients reached";
const char reply_text_unbalanced[] = "ERR Protocol error: unbalanced quotes in request";
const char reply_text_execabort[] = "EXECABORT Transaction discarded because of previous errors.";
const char reply_text_no_such_client[] = "ERR No such client";
const char reply_text_maint_notifications[] = "ERR unknown subcommand 'MAINT_NOTIFICATIONS'. Try CLIENT HELP.";
const char reply_text_rgunavail[] = "RGUNAVAIL no backend is usable; nothing was sent, safe to retry";
const char reply_text_rgunknown[] = "RGUNKNOWN backend connection lost after the request was sent; it may have run";
const char reply_text_rgstate_dataset[] = "RGSTATE another data set is in use now; this command was not sent";
const char reply_text_rgstate[] = "RGSTATE the backend connection that held this session's state is gone";
const char reply_text_rglimit_command[] = "RGLIMIT command is too large to be answered here";
const char reply_text_rglimit_pins[] = "RGLIMIT no backend connection is free (max_connections)";
const char reply_text_subscribed_format[] = "ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / "
                                            "QUIT / RESET are allowed in this context";
const char reply_text_refused_format[] = "ERR respgate: '%s' is refused by policy (see refuse-commands)";

void reply_raw(struct reply_writer *w, const void *bytes, size_t len)
{
    if (w->full || len > w->cap - w->len) {
        w->full = true;
        return;
    }
    if (len > 0) {
        memcpy(w->bytes + w->len, bytes, len);
        w->len += len;
    }
}

static void put_text(struct reply_writer *w, char type, const char *text)
{
    reply_raw(w, &type, 1);
    reply_raw(w, text, strlen(text));
    reply_raw(w, "\r\n", 2);
}

static void put_number(struct reply_writer *w, char type, int64_t n)
{
    char line[DECIMAL_MAX + 3], *end = line + sizeof line;

    end[-2] = '\r';
    end[-1] = '\n';
    char *at = decimal_print(end - 2, n);
    *--at = type;
    reply_raw(w, at, (size_t)(end - at));
}

void reply_simple(struct reply_writer *w, const char *text)
{
    put_text(w, '+', text);
}

/* The text may quote what a client or backend sent: it must not end the line early. */
static void put_error(struct reply_writer *w, const char *text, size_t len)
{
    reply_raw(w, "-", 1);
    for (size_t i = 0; i < len; i++) {
        bool breaks = text[i] == '\r' || text[i] == '\n' || text[i] == '\0';
        reply_raw(w, breaks ? " " : &text[i], 1);
    }
    reply_raw(w, "\r\n", 2);
}

void reply_error(struct reply_writer *w, const char *text)
{
    put_error(w, text, strlen(text));
}

void reply_integer(struct reply_writer *w, int64_t n)
{
    put_number(w, ':', n);
}

void reply_bulk(struct reply_writer *w, const void *bytes, size_t len)
{
    put_number(w, '$', (int64_t)len);
    reply_raw(w, bytes, len);
    reply_raw(w, "\r\n", 2);
}

void reply_array(struct reply_writer *w, size_t n)
{
    put_number(w, '*', (int64_t)n);
}

void reply_map(struct reply_writer *w, unsigned resp, size_t pairs)
{
    if (resp >= 3) {
        put_number(w, '%', (int64_t)pairs);
        return;
    }
    reply_array(w, 2 * pairs);
}

void reply_set(struct reply_writer *w, unsigned resp, size_t n)
{
    put_number(w, resp >= 3 ? '~' : '*', (int64_t)n);
}

void reply_push(struct reply_writer *w, unsigned resp, size_t n)
{
    put_number(w, resp >= 3 ? '>' : '*', (int64_t)n);
}

void reply_null(struct reply_writer *w, unsigned resp)
{
    if (resp >= 3) {
        reply_raw(w, "_\r\n", 3);
        return;
    }
    reply_raw(w, "$-1\r\n", 5);
}

void reply_verbatim(struct reply_writer *w, unsigned resp, const void *text, size_t len)
{
    if (resp < 3) {
        reply_bulk(w, text, len);
        return;
    }
    put_number(w, '=', (int64_t)len + 4);
    reply_raw(w, "txt:", 4);
    reply_raw(w, text, len);
    reply_raw(w, "\r\n", 2);
}

void reply_protocol_error(struct reply_writer *w, const struct request_scan *scan)
{
    char text[128];
    const char *what = request_error_text(scan->error);
    int len = snprintf(text, sizeof text, "ERR Protocol error: %s", what);

    if (scan->error == REQUEST_EXPECTED_DOLLAR) {
        len += snprintf(text + len, sizeof text - (size_t)len, "'%c'", scan->unexpected);
    }
    put_error(w, text, (size_t)len);
}

/* As a server names a command: lower case, "client|kill". */
static void format_name(const struct command *command, char name[96])
{
    bool has_sub = command->subcommand && strcmp(command->subcommand, "*") != 0;
    int len = snprintf(name, 96, "%s%s%s", command->name, has_sub ? "|" : "", has_sub ? command->subcommand : "");

    for (int i = 0; i < len; i++) {
        name[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 0x20 : name[i]);
    }
}

void reply_refused(struct reply_writer *w, const struct command *command)
{
    char name[96], text[192];

    format_name(command, name);
    snprintf(text, sizeof text, reply_text_refused_format, name);
    reply_error(w, text);
}

void reply_subscribed(struct reply_writer *w, const struct command *command)
{
    char name[96], text[256];

    format_name(command, name);
    snprintf(text, sizeof text, reply_text_subscribed_format, name);
    reply_error(w, text);
}
