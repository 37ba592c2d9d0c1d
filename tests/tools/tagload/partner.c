#include "tagload/partner.h"

#include <stdlib.h>

#include "tagload/say.h"

static void errand_free(struct partner *p, struct errand *errand)
{
    TAILQ_REMOVE(&p->errands, errand, link);
    bytes_free(&errand->request);
    free(errand);
}

static bool still_wanted(const struct errand *errand)
{
    if (!errand->wanted_by)
        return true;
    return errand->wanted_by->fd >= 0 && errand->wanted_by->generation == errand->generation;
}

/* The reply to an errand is a number and proves little, so a tagged ECHO behind it proves the order. */
static void issue(struct partner *p, struct errand *errand)
{
    struct client *c = &p->client;

    group_begin(c);
    if (c->db != errand->db)
        ask_select(c, errand->db);
    ask_encoded(c, &errand->request);
    struct expect *e = answer_of_kind(c, EXPECT_INTEGER);
    e->errand = errand;
    struct text tag = new_tag(c, 64);
    ASK(c, text_of("ECHO"), tag);
    answer_bulk(c, tag);
}

static void again(struct partner *p, struct errand *errand)
{
    if (!still_wanted(errand)) {
        errand_free(p, errand);
        return;
    }
    if (errand->wanted_by)
        errand->wanted_by->republished = true;
    issue(p, errand);
}

void partner_send(struct partner *p, struct client *wanted_by, unsigned db, struct bytes *request)
{
    struct errand *errand = calloc(1, sizeof(*errand));

    if (!errand)
        abort();
    errand->wanted_by = wanted_by;
    errand->generation = wanted_by ? wanted_by->generation : 0;
    errand->db = db;
    errand->request = *request;
    *request = (struct bytes){0};
    TAILQ_INSERT_TAIL(&p->errands, errand, link);
    if (p->client.state != CLIENT_OPEN)
        return;
    issue(p, errand);
    client_advance(&p->client);
}

void partner_resume(struct partner *p)
{
    struct errand *next;

    for (struct errand *errand = TAILQ_FIRST(&p->errands); errand; errand = next) {
        next = TAILQ_NEXT(errand, link);
        again(p, errand);
    }
}

void partner_errand_done(struct partner *p, struct errand *errand)
{
    errand_free(p, errand);
    p->prepared = p->prepared || TAILQ_EMPTY(&p->errands);
}

void partner_errand_failed(struct partner *p, struct errand *errand)
{
    again(p, errand);
}

/* Each database gets a set with its own number as the only member: who reads another one's is in the wrong place. */
static void mark_databases(struct partner *p)
{
    char key[MARK_LEN], mark[MARK_LEN];

    for (unsigned db = 0; db < DATABASES; db++) {
        const struct text args[] = {text_of("SADD"), mark_key(p->client.load, key), mark_of(p->client.load, db, mark)};
        struct bytes request = {0};

        encode_args(&request, 3, args);
        partner_send(p, NULL, db, &request);
    }
}

bool partner_is_prepared(const struct partner *p)
{
    return p->prepared;
}

struct partner *partner_new(struct load *load)
{
    struct partner *p = calloc(1, sizeof(*p));

    if (!p)
        abort();
    TAILQ_INIT(&p->errands);
    client_init(&p->client, load, load->options.clients);
    p->client.is_partner = true;
    mark_databases(p);
    return p;
}

void partner_free(struct partner *p)
{
    while (!TAILQ_EMPTY(&p->errands))
        errand_free(p, TAILQ_FIRST(&p->errands));
    client_free(&p->client);
    free(p);
}
