#include "tagload/verdict.h"

#include <string.h>

#include "tagload/client.h"
#include "tagload/partner.h"
#include "tagload/report.h"

static bool wrong(struct client *c, const char *what, const uint8_t *reply, size_t len)
{
    c->load->counters.wrong++;
    report_wrong(c, what, reply, len);
    client_drop(c);
    return false;
}

static bool is_message(const struct client *c, const uint8_t *reply, size_t len)
{
    static const char head[] = "3\r\n$7\r\nmessage\r\n";

    return c->listening > 0 && len > sizeof(head) && (reply[0] == '*' || reply[0] == '>') &&
           memcmp(reply + 1, head, sizeof(head) - 1) == 0;
}

/* A message that was published again because nobody knew whether it had been may come twice, and in any order. */
static bool was_heard(const struct client *c, const uint8_t *reply, size_t len)
{
    const struct expect *e;

    STAILQ_FOREACH(e, &c->heard, link)
    if (expect_allows(e, 0, reply, len))
        return true;
    return false;
}

static bool on_message(struct client *c, const uint8_t *reply, size_t len)
{
    struct expect *e = STAILQ_FIRST(&c->messages);

    if (e && expect_allows(e, 0, reply, len)) {
        STAILQ_REMOVE_HEAD(&c->messages, link);
        STAILQ_INSERT_TAIL(&c->heard, e, link);
        c->messages_matched++;
        c->load->counters.messages++;
        return true;
    }
    if (c->republished && was_heard(c, reply, len))
        return true;
    return wrong(c, "a pub/sub message that was not for this client now", reply, len);
}

static bool pop(struct client *c, struct expect *e)
{
    STAILQ_REMOVE_HEAD(&c->expects, link);
    expect_free(e);
    c->matched++;
    if (c->fate == FATE_AT_REPLY && c->matched >= c->fate_at) {
        client_leave(c);
        return false;
    }
    return true;
}

static bool on_match(struct client *c, struct expect *e)
{
    c->load->counters.replies++;
    c->load->counters.pins += e->pin;
    if (e->session == STATE_OPEN)
        c->holds_session = true;
    if (e->session == STATE_CLOSE)
        c->holds_session = false;
    if (e->unsubscribed) {
        c->listening--;
        expect_clear(&c->heard);
    }
    if (e->errand)
        partner_errand_done(c->load->partner, e->errand);
    return pop(c, e);
}

static bool on_fault(struct client *c, struct expect *e, unsigned fault)
{
    if (fault == WHEN_UNKNOWN)
        c->load->counters.unknown++;
    else
        c->load->counters.unavailable++;
    c->happened |= fault;
    if (e->fatal) {
        client_leave(c);
        return false;
    }
    if (e->errand)
        partner_errand_failed(c->load->partner, e->errand);
    return pop(c, e);
}

static bool on_rgstate(struct client *c)
{
    c->load->counters.state++;
    c->told_rgstate = true;
    c->state = CLIENT_ENDING;
    return true;
}

bool verdict_reply(struct client *c, const uint8_t *reply, size_t len)
{
    struct expect *e = STAILQ_FIRST(&c->expects);
    bool faults = c->load->faults;

    c->progress_ms = c->load->now_ms;
    if (c->told_rgstate)
        return wrong(c, "bytes after -RGSTATE, which must be the last word", reply, len);
    if (is_message(c, reply, len))
        return on_message(c, reply, len);
    if (!e) {
        if (faults && c->holds_session && expect_is_rgstate(reply, len))
            return on_rgstate(c);
        return wrong(c, "a reply although nothing is outstanding", reply, len);
    }
    if (e->starts_group) {
        c->happened = faults ? WHEN_FAULTS : 0;
        e->starts_group = false;
    }
    if (expect_allows(e, c->happened, reply, len))
        return on_match(c, e);
    if (faults && expect_is_rgstate(reply, len))
        return on_rgstate(c);
    if (faults && expect_fault_of(reply, len))
        return on_fault(c, e, expect_fault_of(reply, len));
    return wrong(c, "not the reply to this request", reply, len);
}

void verdict_not_resp(struct client *c)
{
    wrong(c, "bytes that are no RESP reply", bytes_front(&c->in), bytes_len(&c->in));
}

void verdict_closed(struct client *c)
{
    bool owed = c->matched < c->expected || c->messages_matched < c->messages_expected;
    bool asked = c->fate == FATE_QUIT || (c->fate == FATE_HALF_CLOSE && c->shut);

    if (asked && !owed) {
        c->load->counters.half_closes += c->fate == FATE_HALF_CLOSE;
        client_leave(c);
        return;
    }
    c->load->counters.closed_by_peer += !c->told_rgstate;
    if (!c->load->faults) {
        c->load->counters.missing += c->expected - c->matched + 1;
        report_missing(c, "closed by the peer without a reason");
    }
    client_drop(c);
}

void verdict_stalled(struct client *c)
{
    c->load->counters.missing += c->expected - c->matched + (c->expected == c->matched);
    report_missing(c, "no byte for too long");
    client_drop(c);
}
