#include "tagload/report.h"

#include <ctype.h>

#include "tagload/client.h"

enum { SHOWN = 600, BEFORE = 64, ROW = 16 };

static void print_escaped(FILE *out, const uint8_t *p, size_t len)
{
    size_t shown = len < SHOWN ? len : SHOWN;

    for (size_t i = 0; i < shown; i++) {
        if (p[i] == '\r')
            fputs("\\r", out);
        else if (p[i] == '\n')
            fputs("\\n", out);
        else if (isprint(p[i]))
            fputc(p[i], out);
        else
            fprintf(out, "\\x%02x", p[i]);
    }
    fprintf(out, "%s (%zu bytes)\n", shown < len ? "..." : "", len);
}

static void print_hex(FILE *out, const uint8_t *p, size_t len, long first)
{
    for (size_t row = 0; row < len; row += ROW) {
        fprintf(out, "  %+6ld ", first + (long)row);
        for (size_t i = row; i < row + ROW; i++)
            i < len ? fprintf(out, " %02x", p[i]) : fprintf(out, "   ");
        fputs("  ", out);
        for (size_t i = row; i < row + ROW && i < len; i++)
            fputc(isprint(p[i]) ? p[i] : '.', out);
        fputc('\n', out);
    }
}

static void print_expected(FILE *out, const struct client *c)
{
    static const char *const kinds[] = {"exactly", "something with", "any integer"};
    const struct expect *e = STAILQ_FIRST(&c->expects);

    if (!e) {
        fputs("expected: nothing\n", out);
        return;
    }
    fprintf(out, "expected: %s\n", kinds[e->kind]);
    for (unsigned i = 0; i < e->n_alternatives; i++) {
        bool allowed = e->when[i] == WHEN_ALWAYS || (e->when[i] & c->happened);

        fprintf(out, "  %s ", allowed ? "" : "(only after a fault in this group)");
        print_escaped(out, bytes_front(&e->alternative[i]), bytes_len(&e->alternative[i]));
    }
}

static void print_where(FILE *out, const struct client *c)
{
    fprintf(out,
            "client %u, connection %u, RESP%u, reply %llu of %llu asked for here, stream byte %llu of %llu, faults %s "
            "(seed %llu)\n",
            c->id, c->generation, c->resp, (unsigned long long)c->matched + 1, (unsigned long long)c->expected,
            (unsigned long long)c->sent, (unsigned long long)c->queued, c->load->faults ? "injected" : "none",
            (unsigned long long)c->load->options.seed);
}

void report_wrong(const struct client *c, const char *what, const uint8_t *reply, size_t len)
{
    size_t before = c->in.start < BEFORE ? c->in.start : BEFORE;
    size_t shown = bytes_len(&c->in) < SHOWN ? bytes_len(&c->in) : SHOWN;

    if (c->load->wrong_printed)
        return;
    c->load->wrong_printed = true;
    fprintf(stderr, "WRONG: %s\n", what);
    print_where(stderr, c);
    print_expected(stderr, c);
    fputs("got:\n   ", stderr);
    print_escaped(stderr, reply, len);
    fputs("bytes around it (+0 is where it begins):\n", stderr);
    print_hex(stderr, bytes_front(&c->in) - before, before + shown, -(long)before);
}

void report_missing(const struct client *c, const char *what)
{
    if (c->load->wrong_printed)
        return;
    c->load->wrong_printed = true;
    fprintf(stderr, "MISSING: %s\n", what);
    print_where(stderr, c);
    print_expected(stderr, c);
    fputs("unread bytes:\n", stderr);
    print_hex(stderr, bytes_front(&c->in), bytes_len(&c->in) < SHOWN ? bytes_len(&c->in) : SHOWN, 0);
}

void report_verdict(const struct load *load, double seconds, FILE *out)
{
    fprintf(out, "{");
#define X(name) fprintf(out, "\"" #name "\": %llu, ", (unsigned long long)load->counters.name);
    LOAD_COUNTERS(X)
#undef X
    fprintf(out, "\"clients\": %u, \"seconds\": %.1f, \"seed\": %llu}\n", load->options.clients, seconds,
            (unsigned long long)load->options.seed);
}
